// Cuts text into its documents before anything is parsed, so that a broken document doesn't spoil the others and a long
// text never stands in memory as a syntax tree.
import { countLines } from './parsed-document.ts'

export interface DocumentText {
  readonly text: string
  /** The line it begins at, counted from 1. */
  readonly line: number
  /** Where it ends in the whole text. */
  readonly end: number
}

const BYTE_ORDER_MARK = '\ufeff'
// YAML allows neither marker at the beginning of a line in any other role, quoted and block text included; and in
// JSON no line can begin like this.
const MARKER = /^(?:---|\.\.\.)(?=\s|$)/gm
const DIRECTIVE = /^%/m
/** A line that is neither blank nor a comment. */
const CONTENT = /^[^\S\n]*[^\s#]/m

/**
 * The documents in order. Comments and blank lines before the first are not one. A text with YAML directives stays one
 * piece: which lines are directives is for the parser to say.
 */
export function splitDocuments(source: string): readonly DocumentText[] {
  const text = source.startsWith(BYTE_ORDER_MARK) ? source.slice(1) : source
  const starts = looksLikeJson(text) || !DIRECTIVE.test(text) ? findStarts(text) : [0]
  const documents: DocumentText[] = []
  let line = 1
  for (const [index, start] of starts.entries()) {
    const end = starts[index + 1] ?? text.length
    const part = text.slice(start, end)
    if (CONTENT.test(part)) documents.push({ text: part, line, end })
    line += countLines(text, start, end)
  }
  return documents
}

/** Whether text begins as a JSON object or array does, and as YAML hardly ever. */
export function looksLikeJson(text: string): boolean {
  return /^\s*(?:\{\s*["}]|\[)/.test(text)
}

function findStarts(text: string): readonly number[] {
  const starts = [0]
  for (const { 0: marker, index } of text.matchAll(MARKER)) {
    // The marker `---` belongs to the document that it begins, `...` to the one that it ends.
    const start = marker === '---' ? index : text.indexOf('\n', index) + 1
    if (start > (starts.at(-1) ?? 0)) starts.push(start)
  }
  return starts
}
