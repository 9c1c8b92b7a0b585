// The options of `sluice completion`.
import { Argument, type Command } from 'commander'
import type { Shell } from '../completion.ts'
import type { CommandContext } from './context.ts'

const HELP = `
Examples:
  source <(sluice completion bash)                                             this shell; put it into ~/.bashrc for all
  sluice completion bash > /etc/bash_completion.d/sluice
  sluice completion zsh > "\${fpath[1]}/_sluice"
  sluice completion fish > ~/.config/fish/completions/sluice.fish`

export function addCompletion(program: Command, { streams, setExitCode }: CommandContext): void {
  program
    .command('completion')
    .description('Print a script that completes the words of sluice in a shell')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', HELP)
    .action(async (shell: Shell) => {
      const [{ printCompletion }, { writeOut }] = await Promise.all([
        import('../completion.ts'),
        import('../write-out.ts'),
      ])
      await writeOut(printCompletion(program, shell), streams.stdout)
      setExitCode(0)
    })
}
