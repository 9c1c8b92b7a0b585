// Bytes of a watch -> its lines. Only \n ends a line: node:readline also splits at U+2028 and bare \r, which JSON may hold.

const NEWLINE = 10
/** Far above the 1.5 MB that etcd lets an object have. */
const LONGEST_LINE = 32 * 1024 * 1024

/**
 * Returns a function that takes chunks and hands on complete lines, without their ends. What follows the last \n waits for
 * the next chunk: a line that never ends is never handed on.
 * @throws RangeError for a line that is longer than any object.
 */
export function createLineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  let held: Buffer[] = []
  let heldBytes = 0
  return (chunk) => {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      let line: string
      if (heldBytes === 0) line = chunk.toString('utf8', from, end)
      else {
        line = Buffer.concat([...held, chunk.subarray(from, end)]).toString('utf8')
        held = []
        heldBytes = 0
      }
      from = end + 1
      onLine(line)
    }
    if (from === chunk.length) return
    held.push(chunk.subarray(from))
    heldBytes += chunk.length - from
    if (heldBytes > LONGEST_LINE) throw new RangeError(`a line is longer than ${LONGEST_LINE} bytes`)
  }
}
