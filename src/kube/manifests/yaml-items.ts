// Finds the items of a list in YAML text by their indentation alone, as kubectl and most tools write lists:
//
//   kind: List
//   items:
//   - kind: Service
//     ...
//
// Whatever is inside an item stands further right than its dash, in every style YAML has for text, maps and lists; so in
// valid YAML a line that begins with a dash in the column of the first one begins an item. Invalid YAML may be cut at the
// wrong place, and is then reported as broken all the same.

export interface ListCut {
  /** Offsets of each item, its dash and indentation included. */
  readonly items: readonly { readonly start: number; readonly end: number }[]
  /** The text with empty lines in place of the items. */
  readonly rest: string
}

const ITEMS_LINE = /^items:[ \t]*(?:#.*)?\r?$/m

/** Undefined when the text has no such list, and the YAML parser has to take it as a whole. */
export function cutItems(text: string): ListCut | undefined {
  const heading = ITEMS_LINE.exec(text)
  if (heading === null) return undefined
  const starts: number[] = []
  let column = -1
  let at = nextLine(text, heading.index)
  const from = at
  for (; at < text.length; at = nextLine(text, at)) {
    const indent = indentAt(text, at)
    if (indent === undefined) continue
    if (column < 0) column = indent
    const isItem = indent === column && isDash(text, at + indent)
    if (isItem) starts.push(at)
    else if (indent <= column) break
  }
  if (starts[0] === undefined) return undefined
  const rest = `${text.slice(0, from)}\n${text.slice(at)}`
  return { items: starts.map((start, index) => ({ start, end: starts[index + 1] ?? at })), rest }
}

/** The column of the first character of the line; undefined for a line that is blank or a comment. */
function indentAt(text: string, lineStart: number): number | undefined {
  let at = lineStart
  while (text.charCodeAt(at) === 0x20) at++
  const first = text[at]
  return first === undefined || first === '\n' || first === '\r' || first === '#' ? undefined : at - lineStart
}

function isDash(text: string, at: number): boolean {
  return text[at] === '-' && /^\s?$/.test(text[at + 1] ?? '')
}

function nextLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end + 1
}
