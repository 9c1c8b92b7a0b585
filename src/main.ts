// The command `sluice`: arguments in, exit code out.
import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { EXIT, Failure } from './cli/failure.ts'
import { createProgram } from './cli/program.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

const program = createProgram(version, (code) => {
  process.exitCode = code
})
try {
  await program.parseAsync(withDashes(process.argv))
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; --help and --version end here too.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.failure
  } else {
    process.stderr.write(`sluice: ${describe(error)}\n`)
    process.exitCode = EXIT.failure
  }
}

/** kube-proxy takes underscores in flag names for dashes. */
function withDashes(argv: readonly string[]): string[] {
  return argv.map((argument) => {
    const [name = '', ...value] = argument.split('=')
    return name.startsWith('--') ? [name.replaceAll('_', '-'), ...value].join('=') : argument
  })
}

/** A stack trace helps only those who mend sluice. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof Failure) return error.message
  if (process.env['SLUICE_DEBUG'] === '1') return error.stack ?? error.message
  return `${error.message} (a bug in sluice; SLUICE_DEBUG=1 shows where)`
}
