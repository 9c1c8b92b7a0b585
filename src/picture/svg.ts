// A picture as SVG. Alone it brings its colours along, for light and for dark; within the page, the page's style does.
import { formatShare, isWhole } from '../packet/share.ts'
import { columnWidths, type Layout, LINE_HEIGHT, layOut, PADDING } from './layout.ts'
import { breakLines, labelLines, piecesOf } from './line-breaks.ts'
import type { LitPicture } from './mermaid.ts'
import type { Light, Picture } from './picture.ts'

const TITLE_HEIGHT = 30
const LABEL_HEIGHT = 13
/** Above this many nodes a person sees nothing any more. */
export const READABLE_NODES = 600

const STYLE = `
  svg { --ground: #ffffff; --text: #1c2024; --dim: #60646c; --box: #f3f4f6; --line: #8b8d98; --good: #2a7d4f; --bad: #b3261e; --lit: #b45309; --litbox: #fef3c7 }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #14161a; --text: #edeef0; --dim: #b0b4ba; --box: #23262c; --line: #777b84; --good: #4cc38a; --bad: #ff9592; --lit: #ffca16; --litbox: #3a2f0b }
  }
  text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--text) }
  .more, .label, .share { fill: var(--dim) }
  .label, .share { font-size: 11px }
  .heading { font-weight: bold }
  rect { fill: var(--box); stroke: var(--line) }
  .ground { fill: var(--ground); stroke: none }
  .entrance rect, .client rect { rx: 14px }
  .endpoint rect { stroke: var(--good); stroke-width: 1.5px }
  .refusal rect { stroke: var(--bad); stroke-width: 1.5px; stroke-dasharray: 5 3 }
  .arrow path { fill: none; stroke: var(--line) }
  .arrow .head { fill: var(--line); stroke: none }
  .label { paint-order: stroke; stroke: var(--ground); stroke-width: 4px }
  .lit rect { stroke: var(--lit); stroke-width: 2.5px; fill: var(--litbox) }
  .lit path { stroke: var(--lit); stroke-width: 2.5px }
  .lit .head { fill: var(--lit) }
  .lit .share { fill: var(--lit); font-weight: bold }
`

/** A whole document, the pictures under each other. */
export function printSvg(pictures: readonly LitPicture[], title: string): string {
  const drawn = pictures.map(({ picture: whole, light }) => {
    const picture = breakLines(whole)
    return { picture, light, layout: layOut(picture) }
  })
  const width = Math.max(
    ...drawn.map(({ picture, layout }) => Math.max(layout.width, picture.title.length * 8 + 24)),
    1,
  )
  let top = 0
  const parts = drawn.map(({ picture, light, layout }) => {
    const heading = `<text class="heading" x="12" y="${top + 20}">${escapeXml(picture.title)}</text>`
    const part = `${heading}\n<g transform="translate(0 ${top + TITLE_HEIGHT})">\n${drawPicture(picture, layout, light)}\n</g>`
    top += TITLE_HEIGHT + layout.height
    return part
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}" role="img" aria-labelledby="title">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${width}" height="${top}"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

/** For the page: without style and heading. Lines are broken before; `widths` as for layOut. */
export function printSvgPart(picture: Picture, widths: readonly number[] = columnWidths(picture)): string {
  const layout = layOut(picture, widths)
  const { width, height } = layout
  return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${drawPicture(picture, layout)}</svg>`
}

/** Nodes and edges carry their positions as data-node and data-edge. */
function drawPicture(picture: Picture, { boxes, arrows }: Layout, light?: Light): string {
  const edges = picture.edges.map(({ label, to }, edge) => {
    const arrow = arrows[edge]
    if (arrow === undefined) return ''
    const lit = light?.edges.has(edge) === true ? ' lit' : ''
    const { x, y } = arrow.end
    const head = `<path class="head" d="M${x + 6} ${y}l-8 -4v8z"/>`
    const lines = label === undefined ? [] : labelLines(label)
    // Below its arrow where another one arrives above it, which it would cover.
    const isCovering = picture.edges.some((other, at) => other.to === to && (arrows[at]?.end.y ?? y) < y)
    const first = isCovering && lines.length > 1 ? y + LABEL_HEIGHT : y - 4 - LABEL_HEIGHT * (lines.length - 1)
    const text = lines.map((line, index) => {
      const at = first + LABEL_HEIGHT * index
      return `<text class="label" text-anchor="end" x="${x - 6}" y="${at}">${escapeXml(line)}</text>`
    })
    return `<g class="arrow${lit}" data-edge="${edge}"><path d="${arrow.path}"/>${head}${text.join('')}</g>`
  })
  const nodes = picture.nodes.map(({ kind, lines }, node) => {
    const box = boxes[node]
    if (box === undefined) return ''
    const share = light?.nodes.get(node)
    const rect = `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="5"/>`
    let y = box.y + PADDING / 2 + 13 - LINE_HEIGHT
    const texts = lines.map((line, index) => {
      const [piece = '', ...others] = piecesOf(line).map(escapeXml)
      const x = box.x + PADDING
      const start = (y += LINE_HEIGHT)
      y += LINE_HEIGHT * others.length
      const below = others.map((other) => `<tspan x="${x}" dy="${LINE_HEIGHT}">${other}</tspan>`)
      return `<text class="${index === 0 ? 'first' : 'more'}" x="${x}" y="${start}">${piece}${below.join('')}</text>`
    })
    const shown = share === undefined || isWhole(share) ? '' : formatShare(share)
    // Filled where the way of a packet is shown.
    const part = `<text class="share" text-anchor="end" x="${box.x + box.width - 6}" y="${box.y + 13}">${shown}</text>`
    return `<g class="node ${kind}${share === undefined ? '' : ' lit'}" data-node="${node}">${rect}${texts.join('')}${part}</g>`
  })
  return [...edges, ...nodes].join('\n')
}

/** Fit for text and for attributes in double quotes. Characters that XML can't have are shown as a box. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\P{Cc}\t\n\r]|\p{Cs}|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
