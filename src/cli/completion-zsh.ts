// https://zsh.sourceforge.io/Doc/Release/Completion-System.html
import { type CompletedCommand, type CompletedOption, quote, type Value } from './completion-words.ts'

export function printZsh(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name, about }) => `    ${quote(`${name}:${about}`)}`)
  const cases = commands.map(({ name, options, words }) => {
    // An empty list: a message instead would keep zsh from completing options at the same place.
    const rest = words === 'any' ? '()' : offer(words)
    const lines = [...options.map(specify), quote(`*: :${rest}`)]
    return `    ${name})\n      _arguments -S \\\n        ${lines.join(' \\\n        ')}\n      ;;`
  })
  return `#compdef sluice kubectl-sluice
# Completes sluice in zsh: sluice completion zsh > "\${fpath[1]}/_sluice"
_sluice() {
  local -a commands
  commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name=\${words[2]}
  shift words
  (( CURRENT-- ))
  case $name in
${cases.join('\n')}
  esac
}

if [[ \${funcstack[1]} == _sluice ]]; then
  _sluice "$@"
else
  compdef _sluice sluice kubectl-sluice
fi
`
}

/** Every option may stand more than once: some may, and the others say so themselves. */
function specify({ flags, about, value }: CompletedOption): string {
  const text = about.replace(/[[\]\\:]/g, '\\$&')
  const argument = value === undefined ? '' : `: :${offer(value)}`
  return flags.map((flag) => quote(`*${flag}[${text}]${argument}`)).join(' ')
}

function offer(value: Value): string {
  if (value === 'file') return '_files'
  return value === 'any' ? ' ' : `(${value.join(' ')})`
}
