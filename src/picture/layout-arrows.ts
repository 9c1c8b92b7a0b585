// The curves of arrows: from the middle of a box's right side, through the places that they have in columns between, to
// the left side of a box, over which those that arrive are spread.
import type { Picture } from './picture.ts'

const HEAD = 5
const LEAST_BEND = 16
const MOST_BEND = 60

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Arrow {
  readonly path: string
  /** Its point. */
  readonly end: { readonly x: number; readonly y: number }
}

/** Where an arrow passes a column: level from x to x + width. */
export interface Stop {
  readonly x: number
  readonly y: number
  readonly width: number
}

/** `lanes`: by the edge's position, from left to right. */
export function layArrows(
  { edges }: Picture,
  boxes: readonly Box[],
  lanes: ReadonlyMap<number, readonly Stop[]>,
): readonly Arrow[] {
  const arrivals = new Map<number, number[]>()
  edges.forEach(({ to }, edge) => {
    const others = arrivals.get(to)
    if (others === undefined) arrivals.set(to, [edge])
    else others.push(edge)
  })
  const middle = (box: Box | undefined) => (box === undefined ? 0 : box.y + box.height / 2)
  const lastHeight = (edge: number) => lanes.get(edge)?.at(-1)?.y ?? middle(boxes[edges[edge]?.from ?? -1])
  const places = new Map<number, number>()
  for (const [to, all] of arrivals) {
    const box = boxes[to]
    if (box === undefined) continue
    all
      .toSorted((a, b) => lastHeight(a) - lastHeight(b))
      .forEach((edge, order) => void places.set(edge, box.y + (box.height * (order + 1)) / (all.length + 1)))
  }
  return edges.map(({ from, to }, edge) => {
    const [start, end] = [boxes[from], boxes[to]]
    if (start === undefined || end === undefined) return { path: '', end: { x: 0, y: 0 } }
    const target = { x: end.x - HEAD, y: round(places.get(edge) ?? middle(end)) }
    let at = { x: round(start.x + start.width), y: round(middle(start)) }
    let path = `M${at.x} ${at.y}`
    for (const { x, y, width } of lanes.get(edge) ?? []) {
      const through = { x: round(x + width), y }
      path += `${curve(at, { x, y })}L${through.x} ${through.y}`
      at = through
    }
    return { path: `${path}${curve(at, target)}`, end: target }
  })
}

interface Point {
  readonly x: number
  readonly y: number
}

function curve(from: Point, to: Point): string {
  const bend = Math.min(Math.max((to.x - from.x) / 2, LEAST_BEND), MOST_BEND)
  return `C${round(from.x + bend)} ${from.y} ${round(to.x - bend)} ${to.y} ${to.x} ${to.y}`
}

function round(length: number): number {
  return Math.round(length * 10) / 10
}
