// Collects a long text as bytes. Rules printed into one string stay in memory as the pieces they were made of, several
// times their size, until the text is complete; written here they are let go at once.

export interface TextWriter {
  readonly write: (text: string) => void
  /** Adds all that another writer has; that one must not be written to afterwards. */
  readonly append: (other: TextWriter) => void
  /** The text so far, in UTF-8. */
  readonly blocks: () => readonly Uint8Array[]
}

const ENCODER = new TextEncoder()
const SMALLEST_BLOCK = 16 * 1024
const LARGEST_BLOCK = 1024 * 1024
/** UTF-8 has at most 3 bytes for a UTF-16 unit. */
const BYTES_PER_UNIT = 3
/** Units that are gathered before they become bytes: each conversion costs as much as 100 of them. */
const GATHERED = 4 * 1024

export function createTextWriter(): TextWriter {
  const full: Uint8Array[] = []
  let block = new Uint8Array(SMALLEST_BLOCK)
  let blockSize = SMALLEST_BLOCK
  let length = 0
  let gathered = ''
  const finishBlock = () => {
    encode()
    if (length > 0) full.push(block.subarray(0, length))
    block = block.subarray(length)
    length = 0
  }
  const encode = () => {
    const text = gathered
    if (text === '') return
    gathered = ''
    const room = text.length * BYTES_PER_UNIT
    if (length + room > block.length) {
      finishBlock()
      blockSize = Math.min(2 * blockSize, LARGEST_BLOCK)
      block = new Uint8Array(Math.max(room, blockSize))
    }
    length += ENCODER.encodeInto(text, block.subarray(length)).written
  }
  return {
    write: (text) => {
      gathered += text
      if (gathered.length >= GATHERED) encode()
    },
    append: (other) => {
      finishBlock()
      full.push(...other.blocks())
    },
    blocks: () => {
      finishBlock()
      return full
    },
  }
}

/** What was written, as a string. */
export function textOf(writer: TextWriter): string {
  const decoder = new TextDecoder()
  return writer
    .blocks()
    .map((block) => decoder.decode(block))
    .join('')
}
