// Where everything of a picture is: columns from left to right, boxes under each other, arrows as curves between them.
// An arrow that passes a column gets a place of its own there, so that it runs behind no box. Lengths are in pixels of an
// unscaled drawing.
import { type Arrow, type Box, layArrows, type Stop } from './layout-arrows.ts'
import { orderColumns, type Slot } from './layout-order.ts'
import { labelLines, piecesOf } from './line-breaks.ts'
import type { Picture } from './picture.ts'

export const LINE_HEIGHT = 17
export const PADDING = 8
const CHARACTER = 7.25
const BETWEEN = 14
/** Of ` 33.3%`, which may stand behind the first line of an endpoint. */
const SHARE_CHARACTERS = 6
const LEAST_GAP = 26
const LABEL_CHARACTER = 6.7
const MARGIN = 12
/** Of an arrow that passes. */
const LANE = 8

export interface Layout {
  readonly width: number
  readonly height: number
  /** In the order of the picture's nodes. */
  readonly boxes: readonly Box[]
  /** In the order of its edges. */
  readonly arrows: readonly Arrow[]
}

/** Characters of the longest piece of a line of each column; empty columns have 0. */
export function columnWidths({ nodes }: Picture): readonly number[] {
  const widths: number[] = []
  for (const { kind, column, lines } of nodes) {
    while (widths.length <= column) widths.push(0)
    const pieces = lines.flatMap(piecesOf)
    const withShare = kind === 'endpoint' ? (pieces[0] ?? '').length + SHARE_CHARACTERS : 0
    widths[column] = Math.max(widths[column] ?? 0, withShare, ...pieces.map((piece) => piece.length))
  }
  return widths
}

/** `widths`: of the columns in characters, where the lines are only placeholders of what will stand there. */
export function layOut(picture: Picture, widths: readonly number[] = columnWidths(picture)): Layout {
  const { nodes } = picture
  const used = widths.map((width) => width > 0)
  const lefts = placeColumns(picture, widths)
  const columns = orderColumns(picture, used)
  const heightOf = (slot: Slot) =>
    slot.kind === 'lane' ? LANE : (nodes[slot.node]?.lines ?? []).flatMap(piecesOf).length * LINE_HEIGHT + PADDING
  const columnHeights = columns.map(
    (slots) => slots.reduce((sum, slot) => sum + heightOf(slot), 0) + BETWEEN * Math.max(slots.length - 1, 0),
  )
  const height = Math.max(...columnHeights, 0)
  const boxes: Box[] = []
  const lanes = new Map<number, Stop[]>()
  columns.forEach((slots, column) => {
    let y = MARGIN + (height - (columnHeights[column] ?? 0)) / 2
    const x = round(lefts[column] ?? 0)
    const width = boxWidth(widths[column] ?? 0)
    for (const slot of slots) {
      const box = { x, y: round(y), width, height: heightOf(slot) }
      if (slot.kind === 'box') boxes[slot.node] = box
      else lanes.set(slot.edge, [...(lanes.get(slot.edge) ?? []), { ...box, y: round(y + LANE / 2) }])
      y += heightOf(slot) + BETWEEN
    }
  })
  const right = Math.max(...boxes.map(({ x, width }) => x + width), 0)
  return {
    width: round(right + MARGIN),
    height: round(height + 2 * MARGIN),
    boxes,
    arrows: layArrows(picture, boxes, lanes),
  }
}

/** The left side of each column: labels need room before the column that their arrows lead to. */
function placeColumns({ nodes, edges }: Picture, widths: readonly number[]): readonly number[] {
  const gaps = widths.map(() => LEAST_GAP)
  for (const { to, label = '' } of edges) {
    const column = nodes[to]?.column ?? 0
    const longest = Math.max(...labelLines(label).map((line) => line.length))
    if (longest > 0) gaps[column] = Math.max(gaps[column] ?? 0, LEAST_GAP + longest * LABEL_CHARACTER)
  }
  const lefts: number[] = []
  let x = MARGIN
  widths.forEach((width, column) => {
    if (width > 0 && x > MARGIN) x += gaps[column] ?? 0
    lefts.push(x)
    if (width > 0) x += boxWidth(width)
  })
  return lefts
}

function boxWidth(characters: number): number {
  return Math.ceil(characters * CHARACTER) + 2 * PADDING
}

function round(length: number): number {
  return Math.round(length * 10) / 10
}
