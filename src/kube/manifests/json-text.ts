// Looks for places in the text of JSON without parsing it: brackets, keys, the items of a list.
import { countLines, isList, isMapping } from './parsed-document.ts'

/** Start and end of each value in text that holds several; a last one that never ends goes to the end of the text. */
export function cutValues(text: string): readonly (readonly [number, number])[] {
  const parts: [number, number][] = []
  let end = 0
  let start = -1
  scanBrackets(text, (offset, depth, opens) => {
    // Anything between the values is not several values but broken JSON.
    if (depth === 0 && opens && start < 0 && text.slice(end, offset).trim() === '') start = offset
    if (depth !== 0 || opens || start < 0) return
    end = offset + 1
    parts.push([start, end])
    start = -1
  })
  if (start >= 0) parts.push([start, text.length])
  else if (text.slice(end).trim() !== '') return []
  return parts
}

/** Calls `found` for each bracket outside of strings, with the number of brackets that are open around it. */
function scanBrackets(text: string, found: (offset: number, depth: number, opens: boolean) => void): void {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code === 0x7b || code === 0x5b) found(at, depth++, true)
    else if (code === 0x7d || code === 0x5d) found(at, --depth, false)
  }
}

const QUOTE = 0x22

/** The offset of the quote that closes the string which opens at `from`. */
function endOfString(text: string, from: number): number {
  let end = text.indexOf('"', from + 1)
  while (end >= 0) {
    let before = end
    while (text[before - 1] === '\\') before--
    if ((end - before) % 2 === 0) return end
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

/** In valid JSON each colon outside of strings belongs to one key, duplicates included. */
export function countKeysInText(text: string): number {
  let count = 0
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    at = endOfString(text, at) + 1
    let next = text.charCodeAt(at)
    while (next === 0x20 || next === 0x0a || next === 0x0d || next === 0x09) next = text.charCodeAt(++at)
    if (next === 0x3a) count++
  }
  return count
}

export interface ItemPlace {
  readonly offset: number
  /** Counted from 0. */
  readonly line: number
}

/** Empty when the value is no list of objects. */
export function findItems(text: string, value: unknown): readonly ItemPlace[] {
  if (!isList(value) || !Array.isArray(value['items']) || !value['items'].every(isMapping)) return []
  let places: ItemPlace[] = []
  let inItems = false
  let last: ItemPlace = { offset: 0, line: 0 }
  scanBrackets(text, (offset, depth, opens) => {
    if (depth === 2 && opens && inItems) {
      last = { offset, line: last.line + countLines(text, last.offset, offset) }
      places.push(last)
    }
    if (depth !== 1) return
    inItems = opens && /"items"\s*:\s*$/.test(text.slice(Math.max(0, offset - LONGEST_KEY), offset))
    if (inItems) places = []
  })
  return places
}

/** Of `"items" : `, with the blanks and line ends that somebody may have put into it. */
const LONGEST_KEY = 40
