// Runs the command line inside the test's own process, on streams that it can look at.
import { Readable, Writable } from 'node:stream'
import { run } from '../../src/cli/command-line.ts'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly stdin?: string
  /** Whether standard error is a terminal. */
  readonly terminal?: boolean
}

export async function sluice(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const stdout = captureStream()
  const stderr = captureStream(options.terminal)
  const stdin = Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)])
  const code = await run(args, '1.2.3', { stdin, stdout, stderr })
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

export interface Capture extends Writable {
  readonly isTTY: boolean
  readonly columns: number
  readonly text: () => string
}

export function captureStream(isTTY = false, columns = 80): Capture {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  return Object.assign(stream, { isTTY, columns, text: () => Buffer.concat(chunks).toString() })
}

/** The lines of standard error that report something, as they stand. */
export function reported({ stderr }: Ended): readonly string[] {
  return stderr.split('\n').filter((line) => /^(?:error|notice|sluice):/.test(line))
}
