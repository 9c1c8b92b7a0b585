// One run of the command line: arguments in, exit code out.
import { CommanderError } from 'commander'
import { EXIT, Failure } from './failure.ts'
import { createProgram } from './program.ts'
import { normaliseArguments } from './proxy-options.ts'
import type { Streams } from './streams.ts'
import { createTerminal, type Terminal } from './terminal.ts'

/** `args` are the words after the program's name. Never throws: what goes wrong is told on standard error. */
export async function run(args: readonly string[], version: string, streams: Streams): Promise<number> {
  let exitCode: number = EXIT.ok
  const program = createProgram(version, streams, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync(normaliseArguments(args), { from: 'user' })
    return exitCode
  } catch (error) {
    const code = reportEnd(error, createTerminal(streams.stderr))
    // A node agent ends as kube-proxy does, whose supervisors know no other failure.
    return args[0] === 'run' && code !== EXIT.ok ? EXIT.problems : code
  }
}

/** Says why a command ended before it was done; returns the exit code. */
export function reportEnd(error: unknown, terminal: Terminal): number {
  // Commander has said what is wrong; --help and --version end here too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.failure
  if (error instanceof Failure && error.issues.length > 0) terminal.report(error.issues)
  else for (const line of describe(error).split('\n')) terminal.say(line)
  return EXIT.failure
}

/** A stack trace helps only those who mend sluice. */
function describe(error: unknown): string {
  if (error instanceof Failure) return `sluice: ${error.message}`
  if (error instanceof Error && process.env['SLUICE_DEBUG'] === '1') return `sluice: ${error.stack ?? error.message}`
  const message = error instanceof Error ? error.message : String(error)
  return `sluice: ${message} (a bug in sluice; SLUICE_DEBUG=1 shows where)`
}
