// Which box is above which: each column in the order in which its arrows come in, so that few of them cross.
import type { Picture } from './picture.ts'

/** What takes room in a column: a box, or an arrow that passes. */
export type Slot = { readonly kind: 'box'; readonly node: number } | { readonly kind: 'lane'; readonly edge: number }

/** For each column its slots from top to bottom. `used`: the columns that have a box. */
export function orderColumns({ nodes, edges }: Picture, used: readonly boolean[]): readonly (readonly Slot[])[] {
  const columnOf = (node: number) => nodes[node]?.column ?? 0
  const slots: Slot[][] = used.map(() => [])
  nodes.forEach(({ column }, node) => slots[column]?.push({ kind: 'box', node }))
  edges.forEach(({ from, to }, edge) => {
    for (let column = columnOf(from) + 1; column < columnOf(to); column += 1) {
      if (used[column] === true) slots[column]?.push({ kind: 'lane', edge })
    }
  })
  const heights = new Map<string, number>()
  const arrivals = new Map<number, number[]>()
  edges.forEach(({ from, to }, edge) => {
    if (columnOf(from) < columnOf(to)) arrivals.set(to, [...(arrivals.get(to) ?? []), edge])
  })
  /** How far down an arrow is where it last was, from 0 to 1. */
  const lastOf = (edge: number) => heights.get(`lane ${edge}`) ?? heights.get(`box ${edges[edge]?.from ?? 0}`) ?? 0.5
  return slots.map((column, position) => {
    const wanted = column.map((slot, index) => {
      const comes = slot.kind === 'lane' ? [slot.edge] : (arrivals.get(slot.node) ?? [])
      const mean = comes.reduce((sum, edge) => sum + lastOf(edge), 0) / comes.length
      return { slot, height: position === 0 || comes.length === 0 ? index / column.length : mean }
    })
    const ordered = wanted.toSorted((a, b) => a.height - b.height).map(({ slot }) => slot)
    ordered.forEach((slot, index) => {
      heights.set(slot.kind === 'box' ? `box ${slot.node}` : `lane ${slot.edge}`, (index + 1) / (ordered.length + 1))
    })
    return ordered
  })
}
