// What is drawn: boxes in columns from left to right, and arrows between them. What a packet takes of it is its light.
// Texts are plain here; each form of output escapes them for itself.
import type { Share } from '../packet/share.ts'

export type NodeKind = 'client' | 'entrance' | 'chain' | 'endpoint' | 'refusal' | 'note'

export interface PictureNode {
  readonly kind: NodeKind
  /** The first one says what it is. */
  readonly lines: readonly string[]
  /** From 0 on the left; columns without a node take no room. */
  readonly column: number
}

export interface PictureEdge {
  /** Positions in the picture's nodes. */
  readonly from: number
  readonly to: number
  /** A condition, or a share such as `33.3%`. */
  readonly label?: string
}

export interface Picture {
  readonly title: string
  readonly nodes: readonly PictureNode[]
  readonly edges: readonly PictureEdge[]
}

/** The share of packets that comes by, for each node and edge that is on the way, by their positions. */
export interface Light {
  readonly nodes: ReadonlyMap<number, Share>
  readonly edges: ReadonlyMap<number, Share>
}

/** A picture being made. Equal arrows become one, with the labels of all. */
export interface Sketch {
  readonly addNode: (node: PictureNode) => number
  readonly addEdge: (from: number, to: number, label?: string) => void
  /** Adds a line to a node. */
  readonly addLine: (node: number, line: string) => void
  readonly finish: (title: string) => Picture
}

export function createSketch(): Sketch {
  const nodes: { kind: NodeKind; lines: string[]; column: number }[] = []
  const edges = new Map<string, { from: number; to: number; labels: Set<string> }>()
  return {
    addNode: ({ kind, lines, column }) => nodes.push({ kind, lines: [...lines], column }) - 1,
    addEdge: (from, to, label) => {
      const edge = edges.get(`${from} ${to}`) ?? { from, to, labels: new Set<string>() }
      edges.set(`${from} ${to}`, edge)
      if (label !== undefined) edge.labels.add(label)
    },
    addLine: (node, line) => {
      const lines = nodes[node]?.lines
      if (lines?.includes(line) === false) lines.push(line)
    },
    finish: (title) => ({
      title,
      nodes,
      edges: [...edges.values()]
        .toSorted((a, b) => a.from - b.from)
        .map(({ from, to, labels }) => ({
          from,
          to,
          ...(labels.size > 0 && { label: [...labels].join(' or ') }),
        })),
    }),
  }
}
