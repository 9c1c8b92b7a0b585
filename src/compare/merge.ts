// Differences of rules, and of what IPVS mode has beside them, as one list of groups.
import type { GroupDifference } from './compare.ts'
import type { IpvsDifference, ObjectDifference } from './compare-ipvs.ts'
import { nameGroup } from './name-group.ts'
import type { Group } from './owners.ts'
import type { SemanticDifference } from './semantic.ts'

export interface NodeDifference extends GroupDifference {
  /** Virtual servers, sets and addresses; in IPVS mode only. */
  readonly objects?: readonly ObjectDifference[]
}

export function mergeDifferences(
  rules: readonly GroupDifference[],
  ipvs: readonly IpvsDifference[],
): readonly NodeDifference[] {
  if (ipvs.length === 0) return rules
  const merged = new Map<string, NodeDifference>(rules.map((difference) => [nameGroup(difference.group), difference]))
  for (const { group, objects } of ipvs) {
    const known = merged.get(nameGroup(group)) ?? { group, chains: [] }
    merged.set(nameGroup(group), { ...known, objects })
  }
  return inOrder([...merged.values()])
}

export function mergeStatements(
  rules: readonly SemanticDifference[],
  ipvs: readonly SemanticDifference[],
): readonly SemanticDifference[] {
  if (ipvs.length === 0) return rules
  const merged = new Map<string, SemanticDifference>()
  for (const { group, statements } of [...rules, ...ipvs]) {
    const known = merged.get(nameGroup(group))?.statements ?? []
    merged.set(nameGroup(group), { group, statements: [...known, ...statements] })
  }
  return inOrder([...merged.values()])
}

const ORDER: readonly Group['kind'][] = ['fixed', 'service', 'unknown', 'object', 'foreign']

function inOrder<T extends { readonly group: Group }>(differences: readonly T[]): readonly T[] {
  return differences
    .map((difference) => ({
      difference,
      rank: ORDER.indexOf(difference.group.kind),
      name: nameGroup(difference.group),
    }))
    .toSorted((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ difference }) => difference)
}
