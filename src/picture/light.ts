// Which part of a picture a traced packet takes, with the shares of the trace.

import { formatEndpoint } from '../model/address.ts'
import { addShares, multiplyShares, type Share, shareAsNumber, WHOLE } from '../packet/share.ts'
import type { Outcome, Trace, Way } from '../packet/trace.ts'
import type { Light } from './picture.ts'
import type { IptablesPicture, IpvsPicture, PortPicture } from './port-picture.ts'

interface Lighting {
  readonly nodes: Map<number, Share>
  readonly edges: Map<number, Share>
  /** Positions of edges by `from to`. */
  readonly edgeAt: ReadonlyMap<string, number>
}

/** `entrance` is the node of the address that the packet has for destination. */
export function lightOf(trace: Trace, picture: PortPicture, entrance: number): Light {
  const edgeAt = new Map(picture.edges.map(({ from, to }, position) => [`${from} ${to}`, position]))
  const lighting: Lighting = { nodes: new Map([[entrance, WHOLE]]), edges: new Map(), edgeAt }
  if (picture.mode === 'ipvs') followServer(lighting, picture, trace, entrance)
  else follow(lighting, picture, trace.way, WHOLE, [entrance])
  return { nodes: lighting.nodes, edges: lighting.edges }
}

/** The boxes of sets stand one behind the other, so that the end tells all of them. */
function followServer(lighting: Lighting, picture: IpvsPicture, { outcomes }: Trace, entrance: number): void {
  const path = [entrance, ...(picture.paths.get(entrance) ?? [])]
  for (const { outcome, share } of outcomes) {
    const refused = outcome.kind === 'drop' || outcome.kind === 'reject' || outcome.kind === 'taken'
    const end = refused
      ? refusalOf(picture, outcome)
      : picture.realServers.get(
          `${path.at(-1) ?? entrance} ${formatEndpoint(outcome.destination, outcome.destinationPort)}`,
        )
    if (end === undefined) continue
    const last = path.findLastIndex((node) => lighting.edgeAt.has(`${node} ${end}`))
    const passed = [...path.slice(0, last + 1), end]
    for (const [position, node] of passed.entries()) {
      if (position === 0) continue
      add(lighting.nodes, node, share)
      const edge = lighting.edgeAt.get(`${passed[position - 1] ?? entrance} ${node}`)
      if (edge !== undefined) add(lighting.edges, edge, share)
    }
  }
}

/** `been`: the nodes on the way so far, the last one last. */
function follow(
  lighting: Lighting,
  picture: IptablesPicture,
  { steps, next: then }: Way,
  share: Share,
  been: readonly number[],
): void {
  let at = been
  const { chains } = picture
  for (const { table, chain, action } of steps) {
    if (table !== 'nat') continue
    for (const name of [chain, action.startsWith('-> ') ? action.slice(3) : ''])
      at = arrive(lighting, chains.get(name), share, at)
  }
  if (then.kind === 'end') {
    const refusal = refusalOf(picture, then.outcome)
    if (refusal !== undefined) arrive(lighting, refusal, share, at)
    return
  }
  if (then.place.table === 'nat') at = arrive(lighting, chains.get(then.place.chain), share, at)
  for (const branch of then.branches) follow(lighting, picture, branch.way, multiplyShares(share, branch.share), at)
}

/** Lights the node, and the edge that leads there from the last node that has one. */
function arrive(
  lighting: Lighting,
  node: number | undefined,
  share: Share,
  been: readonly number[],
): readonly number[] {
  if (node === undefined || been.includes(node)) return been
  add(lighting.nodes, node, share)
  const edge = been.toReversed().flatMap((from) => lighting.edgeAt.get(`${from} ${node}`) ?? [])[0]
  if (edge !== undefined) add(lighting.edges, edge, share)
  return [...been, node]
}

/** Both ways of what is not known have everything, and a picture shows no more than that. */
function add(shares: Map<number, Share>, position: number, share: Share): void {
  const known = shares.get(position)
  const sum = known === undefined ? share : addShares(known, share)
  shares.set(position, shareAsNumber(sum) > 1 ? WHOLE : sum)
}

function refusalOf({ refusals }: PortPicture, outcome: Outcome): number | undefined {
  if (outcome.kind !== 'drop' && outcome.kind !== 'reject') return undefined
  return refusals.get(`${outcome.kind} ${outcome.place.chain}`)
}
