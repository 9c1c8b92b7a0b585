// A command's result -> standard output.
import { Failure } from './failure.ts'
import type { OutputStream } from './streams.ts'

/** A long text comes in pieces. */
export type Pieces = Iterable<string | Uint8Array>

/**
 * Resolves when everything is handed over; a reader that has seen enough (`| head`) is no error.
 * @throws Failure when it can't be written, on a full disk for example.
 */
export async function writeOut(text: string | Pieces, stream: OutputStream = process.stdout): Promise<void> {
  for (const piece of typeof text === 'string' ? [text] : text) {
    const problem = await write(piece, stream)
    if (problem === undefined) continue
    if ('code' in problem && problem.code === 'EPIPE') return
    throw new Failure(`standard output can't be written: ${problem.message}`)
  }
}

function write(piece: string | Uint8Array, stream: OutputStream): Promise<Error | undefined> {
  return new Promise((resolve) => {
    // The stream also emits what it tells the callback.
    const onError = (error: Error) => resolve(error)
    stream.once('error', onError)
    stream.write(piece, (error) => {
      resolve(error ?? undefined)
      if (!error) stream.removeListener('error', onError)
    })
  })
}
