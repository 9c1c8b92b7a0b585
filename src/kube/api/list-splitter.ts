// Bytes of a Kubernetes list -> its items, one by one. A list from the watch cache comes whole, however long it is; this
// way no more of it is in memory than one item.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_MAP = 0x7b
const CLOSE_MAP = 0x7d

const LONGEST_ENVELOPE = 1024 * 1024

export interface ListSplitter {
  /** @throws what `onItem` throws, and RangeError for what can't be a list. */
  readonly write: (chunk: Buffer) => void
  /** What is around the items: JSON of the list with an empty `items`, if the list was complete. */
  readonly envelope: () => string
}

/** `onItem` gets the JSON text of each item, unchecked. */
export function createListSplitter(onItem: (text: string) => void): ListSplitter {
  const envelope: Buffer[] = []
  let envelopeBytes = 0
  let held: Buffer[] = []
  let depth = 0
  let inText = false
  let isEscaped = false
  let inItems = false

  function keep(piece: Buffer): void {
    envelope.push(piece)
    envelopeBytes += piece.length
    if (envelopeBytes > LONGEST_ENVELOPE) throw new RangeError('there is no list of items in it')
  }

  function finishItem(piece: Buffer): void {
    const text = held.length === 0 ? piece.toString('utf8') : Buffer.concat([...held, piece]).toString('utf8')
    held = []
    onItem(text)
  }

  return {
    write: (chunk) => {
      // Where the piece begins that is not handed on yet.
      let from = 0
      for (let index = 0; index < chunk.length; index += 1) {
        const byte = chunk[index]
        if (inText) {
          if (isEscaped) isEscaped = false
          else if (byte === BACKSLASH) isEscaped = true
          else if (byte === QUOTE) inText = false
        } else if (byte === QUOTE) {
          inText = true
        } else if (byte === OPEN_MAP || byte === OPEN_LIST) {
          if (inItems && depth === 2) {
            held = []
            from = index
          } else if (depth === 1 && byte === OPEN_LIST && endsInItems(envelope, chunk.subarray(from, index))) {
            keep(chunk.subarray(from, index + 1))
            inItems = true
          }
          depth += 1
        } else if (byte === CLOSE_MAP || byte === CLOSE_LIST) {
          depth -= 1
          if (inItems && depth === 2) {
            finishItem(chunk.subarray(from, index + 1))
            from = index + 1
          } else if (inItems && depth === 1) {
            held = []
            inItems = false
            from = index
          }
        }
      }
      if (!inItems) keep(chunk.subarray(from))
      else if (depth > 2) held.push(chunk.subarray(from))
    },
    envelope: () => Buffer.concat(envelope).toString('utf8'),
  }
}

function endsInItems(before: readonly Buffer[], piece: Buffer): boolean {
  return /"items"\s*:\s*$/.test(Buffer.concat([...before, piece]).toString('latin1'))
}
