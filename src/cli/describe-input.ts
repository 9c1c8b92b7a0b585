// What was read, in words: how many objects, and which way the endpoints of how many Services were found.
import type { Assembly } from '../kube/manifests/assemble.ts'
import { count, listNames } from './words.ts'

/** One line each. */
export function describeAssembly({ snapshot, withSlices, derived, ignoredKinds }: Assembly): readonly string[] {
  const { services, nodes } = snapshot
  const ways = [
    ['EndpointSlices', withSlices],
    ['Endpoints objects', derived.get('Endpoints') ?? 0],
    ['Pods', derived.get('Pods') ?? 0],
    ['nowhere: none in the input', derived.get('nothing') ?? 0],
  ] as const
  const taken = ways.filter(([, number]) => number > 0).map(([way, number]) => `${way} (${count(number, 'Service')})`)
  return [
    `input: ${count(services.length, 'Service')}, ${count(nodes.size, 'Node')}`,
    ...(services.length === 0
      ? ['there is no Service in the input, so there are only the rules that every node has']
      : []),
    ...(taken.length > 0 ? [`endpoints come from ${taken.join(', ')}`] : []),
    ...(ignoredKinds.size > 0 ? [describeIgnored(ignoredKinds)] : []),
  ]
}

function describeIgnored(kinds: ReadonlyMap<string, number>): string {
  const total = [...kinds.values()].reduce((all, number) => all + number, 0)
  const byKind = [...kinds].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([kind, number]) => `${kind} (${number})`)
  return `ignored: ${count(total, 'object')} of kinds that have no rules: ${listNames(byKind)}`
}
