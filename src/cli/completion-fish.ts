// https://fishshell.com/docs/current/completions.html
import { type CompletedCommand, type CompletedOption, quote, type Value } from './completion-words.ts'

export function printFish(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name).join(' ')
  const lines = commands.flatMap(({ name, about, options, words }) => {
    const within = `complete -c sluice -n '__fish_seen_subcommand_from ${name}'`
    return [
      `complete -c sluice -n 'not __fish_seen_subcommand_from ${names}' -a ${name} -d ${text(about)}`,
      ...(words === 'any' ? [] : [`${within}${offer(words)}`]),
      ...options.map((option) => `${within}${specify(option)} -d ${text(option.about)}`),
    ]
  })
  return [
    '# Completes sluice in fish: sluice completion fish > ~/.config/fish/completions/sluice.fish',
    'complete -c sluice -f',
    ...lines,
    'complete -c kubectl-sluice -w sluice',
    '',
  ].join('\n')
}

function specify({ flags, value }: CompletedOption): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`)).join('')
  if (value === undefined) return names
  return value === 'any' ? `${names} -x` : `${names} -r${offer(value)}`
}

function offer(value: Value): string {
  if (value === 'file') return ' -F'
  return value === 'any' ? '' : ` -f -a ${quote(value.join(' '))}`
}

/** Fish knows two escapes between single quotes. */
function text(about: string): string {
  return quote(about.replaceAll('\\', '\\\\'), "\\'")
}
