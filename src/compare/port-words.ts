// A change of what is done for one port of a Service, as sentences.
import { formatShare } from './effect-rule.ts'
import type { PortEffect, Shares } from './port-effect.ts'

/** None when both do the same. `name` is `ns1/svc1:p80`. */
export function describePort(
  name: string,
  before: PortEffect | undefined,
  after: PortEffect | undefined,
): readonly string[] {
  if (before === undefined) return after === undefined ? [] : [`${name} added: ${describeWhole(after)}`]
  if (after === undefined) return [`${name} removed: ${describeWhole(before)}`]
  const isSame = sameShares(before.cluster, after.cluster)
  const local = describeShares(before.local, after.local, 'endpoint of this node')
  return [
    ...describeFacts(before.facts, after.facts),
    ...(isSame ? [] : describeShares(before.cluster, after.cluster, 'endpoint')),
    // Both lists change alike where all endpoints are here.
    ...(!isSame && sameShares(before.cluster, before.local) && sameShares(after.cluster, after.local) ? [] : local),
  ].map((statement) => `${name}: ${statement}`)
}

function describeWhole({ facts, cluster, local }: PortEffect): string {
  const subjects = [...facts].map(([subject, fact]) => `${subject} ${fact}`)
  const balanced = [
    ...(cluster === undefined ? [] : [`${listEndpoints([...cluster.keys()], 'endpoint')}: ${describeAll(cluster)}`]),
    ...(local === undefined
      ? []
      : [`${listEndpoints([...local.keys()], 'endpoint of this node')}: ${describeAll(local)}`]),
  ]
  return [...subjects, ...balanced].join('; ')
}

function describeFacts(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  const subjects = [...new Set([...before.keys(), ...after.keys()])]
  return subjects.flatMap((subject) => {
    const one = before.get(subject)
    const other = after.get(subject)
    if (one === other) return []
    if (one === undefined) return [`now ${subject} ${other}`]
    if (other === undefined) return [`no longer ${subject} ${one}`]
    return [`${subject} ${other}; before, it ${one}`]
  })
}

function describeShares(before: Shares | undefined, after: Shares | undefined, noun: string): readonly string[] {
  const one = before ?? NONE
  const other = after ?? NONE
  const added = [...other.keys()].filter((endpoint) => !one.has(endpoint))
  const removed = [...one.keys()].filter((endpoint) => !other.has(endpoint))
  const moves = [
    ...(added.length > 0 ? [`${listEndpoints(added, noun)} added`] : []),
    ...(removed.length > 0 ? [`${listEndpoints(removed, noun)} removed`] : []),
  ]
  const shares = describeNewShares(one, other)
  return moves.length === 0 && shares === '' ? [] : [[...moves, ...(shares === '' ? [] : [shares])].join('; ')]
}

const NONE: Shares = new Map()

function describeNewShares(before: Shares, after: Shares): string {
  if (after.size === 0) return before.size === 0 ? '' : 'none is left'
  const now = equalShare(after)
  const then = equalShare(before)
  if (now !== undefined && (then !== undefined || before.size === 0)) {
    if (now === then) return ''
    const share = now === 'all' ? 'it now gets all' : `each endpoint now gets ${now}`
    return then === undefined ? share : `${share} instead of ${then}`
  }
  const changed = [...after].filter(
    ([endpoint, share]) => formatShare(share) !== formatShare(before.get(endpoint) ?? 0),
  )
  return changed
    .slice(0, MOST_LISTED)
    .map(([endpoint, share]) => {
      const old = before.get(endpoint)
      return `${endpoint} now gets ${formatShare(share)}${old === undefined ? '' : ` instead of ${formatShare(old)}`}`
    })
    .concat(changed.length > MOST_LISTED ? [`and ${changed.length - MOST_LISTED} more`] : [])
    .join(', ')
}

function describeAll(shares: Shares): string {
  const equal = equalShare(shares)
  if (equal !== undefined) return equal === 'all' ? 'it gets all' : `each gets ${equal}`
  return [...shares].map(([endpoint, share]) => `${endpoint} gets ${formatShare(share)}`).join(', ')
}

/** The share that every endpoint has, if they have the same. */
function equalShare(shares: Shares): string | undefined {
  const texts = new Set([...shares.values()].map(formatShare))
  const [text] = texts
  return texts.size === 1 ? text : undefined
}

function sameShares(one: Shares | undefined, other: Shares | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return (
    one.size === other.size &&
    [...one].every(([endpoint, share]) => formatShare(other.get(endpoint) ?? 0) === formatShare(share))
  )
}

const MOST_LISTED = 8

function listEndpoints(endpoints: readonly string[], noun: string): string {
  const plural = endpoints.length === 1 ? noun : noun.replace('endpoint', 'endpoints')
  const shown = endpoints.slice(0, MOST_LISTED).join(', ')
  const more = endpoints.length > MOST_LISTED ? ` and ${endpoints.length - MOST_LISTED} more` : ''
  return `${plural} ${shown}${more}`
}
