// Two Services that claim one address and port: the rules of the first one answer. Order between Services means nothing
// otherwise.
import type { ObjectKey } from '../model/object-name.ts'
import { portNameInText, serviceOfPortName } from './owners.ts'
import { type RuleText, rulesIn } from './rule-text.ts'

/** Per Service that now comes first, what that means. */
export function findOrderChanges(before: RuleText, after: RuleText): ReadonlyMap<ObjectKey, readonly string[]> {
  const changes = new Map<ObjectKey, string[]>()
  for (const chain of ['KUBE-SERVICES', 'KUBE-NODEPORTS']) {
    const one = findClaims(rulesIn(before.tables.get('nat'), chain))
    const other = findClaims(rulesIn(after.tables.get('nat'), chain))
    for (const [claim, owners] of other) {
      const earlier = one.get(claim) ?? []
      const [first] = owners
      const [firstBefore] = earlier
      if (first === undefined || firstBefore === undefined || first === firstBefore) continue
      if (!earlier.includes(first) || !owners.includes(firstBefore)) continue
      const statements = changes.get(first) ?? []
      statements.push(`${claim} is claimed by ${first} and ${firstBefore}: now ${first} comes first and answers`)
      changes.set(first, statements)
    }
  }
  return changes
}

const CLAIM = /^(?:-d (\S+?)(?:\/32|\/128)? )?-p (\S+) .*--dport (\d+)/

/** The Services of each address and port that several claim, the first rule's first. */
export function findClaims(rules: readonly string[]): ReadonlyMap<string, readonly ObjectKey[]> {
  const claims = new Map<string, ObjectKey[]>()
  for (const rule of rules) {
    const [, address, protocol, port] = CLAIM.exec(rule) ?? []
    const name = portNameInText(rule)
    if (port === undefined || name === undefined) continue
    const claim = `${address ?? 'node port'} ${port}/${protocol}`
    const owners = claims.get(claim) ?? []
    const service = serviceOfPortName(name)
    if (!owners.includes(service)) owners.push(service)
    claims.set(claim, owners)
  }
  return new Map([...claims].filter(([, owners]) => owners.length > 1))
}
