// The commands of `sluice`. What a command does is loaded when it runs, so that --help is quick.
import { Command } from 'commander'
import { addCompletion } from './commands/completion.ts'
import type { CommandContext } from './commands/context.ts'
import { addDiff } from './commands/diff.ts'
import { addEstimate } from './commands/estimate.ts'
import { addExplain } from './commands/explain.ts'
import { addGolden } from './commands/golden.ts'
import { addGraph } from './commands/graph.ts'
import { addLint } from './commands/lint.ts'
import { addRender } from './commands/render.ts'
import { addRun } from './commands/run.ts'
import { addTrace } from './commands/trace.ts'
import { addVerify } from './commands/verify.ts'
import { optionTerm } from './proxy-options.ts'
import type { Streams } from './streams.ts'
import { printable } from './terminal.ts'

/** In the order in which help shows them. */
const COMMANDS = [
  addRender,
  addRun,
  addGolden,
  addTrace,
  addExplain,
  addDiff,
  addVerify,
  addLint,
  addEstimate,
  addGraph,
  addCompletion,
]

/** `setExitCode` hears how a command ended. Throws what parsing or a command throws. */
export function createProgram(version: string, streams: Streams, setExitCode: (code: number) => void): Command {
  const program = new Command('sluice')
    .description('Programs a Linux node so that Kubernetes Services work, and shows what it programs.')
    .version(version)
    .exitOverride()
    .configureHelp({ optionTerm })
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text.split('\n').map(printable).join('\n')),
    })
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', '\nStart with sluice render -f cluster.yaml; sluice render --help shows more examples.')
  const context: CommandContext = { version, streams, setExitCode }
  for (const add of COMMANDS) add(program, context)
  return program
}
