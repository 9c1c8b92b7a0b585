// Where a command reads and writes: the process's own streams, or those of a test.

export interface InputStream extends NodeJS.ReadableStream {
  readonly isTTY?: boolean
}

export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean
  /** The width of a terminal in characters. */
  readonly columns?: number
}

export interface Streams {
  readonly stdin: InputStream
  readonly stdout: OutputStream
  readonly stderr: OutputStream
}

/** A terminal that shows colours, as far as its owner wants them: https://no-color.org */
export function wantsColour(stream: OutputStream): boolean {
  return stream.isTTY === true && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
}
