// Where lines of boxes are broken, so that a picture is no wider than a page has room for: a line feed stands for a break.
// The pieces of a line come to the line again. Mermaid breaks lines by itself.
import type { Picture } from './picture.ts'

const MOST_CHARACTERS = 20
const MOST_IN_LABEL = 14
/** `KUBE-SVC-67NZLRHBNDSAWJRO`, `KUBE-SOURCE-RANGES-FIREWALL` */
const CHAIN = /^(KUBE-(?:[A-Z0-9]+-)*)([A-Z0-9]+)$/

export function breakLines({ nodes, ...picture }: Picture): Picture {
  return { ...picture, nodes: nodes.map((node) => ({ ...node, lines: node.lines.map(breakLine) })) }
}

/** The pieces of a line, from top to bottom. */
export function piecesOf(line: string): readonly string[] {
  return line.split('\n')
}

/** A label's lines, from top to bottom. */
export function labelLines(label: string): readonly string[] {
  return label.split(/ (?=or )/).flatMap((part) =>
    breakWords(part, MOST_IN_LABEL)
      .split('\n')
      .map((line) => line.trimEnd()),
  )
}

function breakLine(text: string): string {
  const line = text.replaceAll('\n', ' ')
  if (line.length <= MOST_CHARACTERS) return line
  const [, start, end] = CHAIN.exec(line) ?? []
  if (start !== undefined && end !== undefined) return `${start}\n${end}`
  return breakWords(line, MOST_CHARACTERS)
}

function breakWords(text: string, most: number): string {
  let length = 0
  let broken = ''
  for (const word of text.split(/(?<= )/)) {
    if (length > 0 && length + word.trimEnd().length > most) {
      broken += '\n'
      length = 0
    }
    broken += word
    length += word.length
  }
  return broken
}
