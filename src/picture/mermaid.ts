// A picture as the text of a Mermaid flowchart, which GitHub and many others draw: https://mermaid.js.org/syntax/flowchart
import { formatShare, isWhole } from '../packet/share.ts'
import type { Light, NodeKind, Picture, PictureNode } from './picture.ts'

export interface LitPicture {
  readonly picture: Picture
  /** The way of a packet, to stand out. */
  readonly light?: Light
}

/** What drawers of Mermaid text accept where nobody configured them: config.schema.yaml of Mermaid. */
export const MERMAID_LIMITS = { edges: 500, characters: 50_000 } as const

const SHAPES: Readonly<Record<NodeKind, readonly [string, string]>> = {
  client: ['([', '])'],
  entrance: ['([', '])'],
  chain: ['[', ']'],
  endpoint: ['(', ')'],
  refusal: ['{{', '}}'],
  note: ['[', ']'],
}

/** Ends with a newline. A single picture has no frame. */
export function printMermaid(pictures: readonly LitPicture[]): string {
  const lines = ['flowchart LR']
  const lit: string[] = []
  const litEdges: number[] = []
  const kinds = new Map<NodeKind, string[]>()
  let nodes = 0
  let edges = 0
  for (const [index, { picture, light }] of pictures.entries()) {
    const framed = pictures.length > 1
    const indent = framed ? '    ' : '  '
    const id = (node: number) => `n${nodes + node}`
    if (framed) lines.push(`  subgraph s${index}["${escapeMermaid(picture.title)}"]`)
    else lines.push(`  %% ${picture.title.replace(/[^\w .:/-]/g, '?')}`)
    picture.nodes.forEach((node, position) => {
      lines.push(`${indent}${id(position)}${printNode(node, light, position)}`)
      kinds.set(node.kind, [...(kinds.get(node.kind) ?? []), id(position)])
      if (light?.nodes.has(position) === true) lit.push(id(position))
    })
    picture.edges.forEach(({ from, to, label }, position) => {
      const text = label === undefined ? '' : `|"${escapeMermaid(label)}"|`
      lines.push(`${indent}${id(from)} -->${text} ${id(to)}`)
      if (light?.edges.has(position) === true) litEdges.push(edges + position)
    })
    if (framed) lines.push('  end')
    nodes += picture.nodes.length
    edges += picture.edges.length
  }
  for (const [kind, ids] of kinds) if (kind !== 'chain') lines.push(`  class ${ids.join(',')} ${kind}`)
  if (kinds.has('endpoint')) lines.push('  classDef endpoint stroke:#2a7d4f,stroke-width:2px')
  if (kinds.has('refusal')) lines.push('  classDef refusal stroke:#b3261e,stroke-width:2px')
  if (lit.length > 0) lines.push(`  class ${lit.join(',')} lit`, '  classDef lit stroke:#d97706,stroke-width:4px')
  if (litEdges.length > 0) lines.push(`  linkStyle ${litEdges.join(',')} stroke:#d97706,stroke-width:4px`)
  return `${lines.join('\n')}\n`
}

function printNode({ kind, lines }: PictureNode, light: Light | undefined, position: number): string {
  const [open, close] = SHAPES[kind]
  const share = light?.nodes.get(position)
  const all = share === undefined || isWhole(share) ? lines : [...lines, formatShare(share)]
  return `${open}"${all.map(escapeMermaid).join('<br>')}"${close}`
}

/** Everything that could end a text, begin markup or be read as Markdown becomes the code of its character. */
export function escapeMermaid(text: string): string {
  return text.replace(/[^\w .,:/()%+=!?-]/gu, (character) => `#${character.codePointAt(0)};`)
}
