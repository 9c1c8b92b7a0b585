// The commands and options as data, and as the script of a shell that completes them.
import type { Command, Option } from 'commander'
import { printBash } from './completion-bash.ts'
import { printFish } from './completion-fish.ts'
import type { CompletedCommand, CompletedOption } from './completion-words.ts'
import { printZsh } from './completion-zsh.ts'

export type Shell = 'bash' | 'zsh' | 'fish'

/** Ends with a newline. */
export function printCompletion(program: Command, shell: Shell): string {
  const commands = program.commands.map(describeCommand)
  switch (shell) {
    case 'bash':
      return printBash(commands)
    case 'zsh':
      return printZsh(commands)
    case 'fish':
      return printFish(commands)
    default:
      return shell satisfies never
  }
}

function describeCommand(command: Command): CompletedCommand {
  const [first] = command.registeredArguments
  const words =
    first?.argChoices ?? (/folder|<A>|file/.test(`${first?.name() ?? ''} <${first?.name() ?? ''}>`) ? 'file' : 'any')
  return {
    name: command.name(),
    about: command.description(),
    options: [
      ...command.options.filter(({ hidden }) => !hidden).map(describeOption),
      { flags: ['-h', '--help'], about: 'display help for command' },
    ],
    words,
  }
}

function describeOption({ short, long, description, argChoices, required, flags }: Option): CompletedOption {
  const names = [short, long].filter((name) => name !== undefined)
  const value = argChoices ?? (/<[^>]*\b(?:file|dir|folder)\b/.test(flags) ? 'file' : 'any')
  return { flags: names, about: description, ...(required && { value }) }
}
