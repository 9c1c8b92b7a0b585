// What IPVS mode wants on a node as a document for other programs: `-o json` and `-o yaml`. Its shape is versioned;
// docs/rule-model.md describes it.
import { DOCUMENT_VERSION, describeRuleset, type TableRules } from '../iptables/document.ts'
import { canonicalise } from '../iptables/print.ts'
import { type Family, hostCidr } from '../model/address.ts'
import { nameVirtualServer, virtualServerOptions } from './print.ts'
import type { OwnedVirtualServer } from './program.ts'
import type { ShownState } from './shown-state.ts'
import type { VirtualServer } from './virtual-server.ts'

export interface IpvsDocument {
  readonly apiVersion: typeof DOCUMENT_VERSION
  readonly kind: 'NodeRules'
  readonly node: string
  readonly mode: 'ipvs'
  readonly families: readonly IpvsFamilyRules[]
}

export interface IpvsFamilyRules {
  readonly family: Family
  /** No rule of this mode has a counter. */
  readonly nfacct: readonly string[]
  readonly tables: readonly TableRules[]
  readonly virtualServers: readonly (VirtualServer & { readonly text: string; readonly owner: string })[]
  readonly sets: readonly DescribedSet[]
  /** With prefix lengths. */
  readonly addresses: readonly string[]
}

export interface DescribedSet {
  readonly name: string
  readonly type: string
  readonly family?: Family
  readonly maxelem?: number
  readonly entries: readonly string[]
}

export function describeIpvs(node: string, states: readonly ShownState[]): IpvsDocument {
  return { apiVersion: DOCUMENT_VERSION, kind: 'NodeRules', node, mode: 'ipvs', families: states.map(describeFamily) }
}

/** Everything in the order in which `-o save` prints it. */
function describeFamily({ family, ruleset, virtualServers, sets, addresses }: ShownState): IpvsFamilyRules {
  return {
    family,
    nfacct: [],
    tables: describeRuleset(canonicalise(ruleset)),
    virtualServers: sortedBy(virtualServers.map(describeVirtualServer), ({ text }) => text),
    sets: sortedBy(
      sets.map(({ header, entries }) => ({ ...header, entries: [...entries.keys()].toSorted() })),
      ({ name }) => name,
    ),
    addresses: addresses.map(hostCidr).toSorted(),
  }
}

function describeVirtualServer({
  owner,
  virtualServer,
}: OwnedVirtualServer): IpvsFamilyRules['virtualServers'][number] {
  const text = `${nameVirtualServer(virtualServer)} ${virtualServerOptions(virtualServer)}`
  return { text, owner, ...virtualServer }
}

function sortedBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  return items.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}
