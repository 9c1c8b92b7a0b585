// https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html
import { type CompletedCommand, quote, type Value } from './completion-words.ts'

export function printBash(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name)
  const values = commands.flatMap(({ name, options }) =>
    options.flatMap(({ flags, value }) =>
      value === undefined
        ? []
        : [`    ${flags.map((flag) => `${name}:${flag}`).join('|')}) ${offer(value)}; return ;;`],
    ),
  )
  const words = commands.map(({ name, words: value }) => `      ${name}) ${offer(value)} ;;`)
  const flags = commands.map(
    ({ name, options }) =>
      `      ${name}) _sluice_words ${quote(options.flatMap((option) => option.flags).join(' '))} ;;`,
  )
  return `# Completes sluice in bash: source <(sluice completion bash)
_sluice_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

_sluice_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$current")
}

_sluice() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command='' word
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
    case $word in
      ${names.join('|')})
        command=$word
        break
        ;;
    esac
  done
  case $command:$previous in
${values.join('\n')}
  esac
  if [[ $current == -* ]]; then
    case $command in
      '') _sluice_words '--version --help' ;;
${flags.join('\n')}
    esac
  else
    case $command in
      '') _sluice_words ${quote(names.join(' '))} ;;
${words.join('\n')}
    esac
  fi
}

complete -F _sluice sluice kubectl-sluice
`
}

function offer(value: Value): string {
  if (value === 'file') return '_sluice_files'
  return value === 'any' ? ':' : `_sluice_words ${quote(value.join(' '))}`
}
