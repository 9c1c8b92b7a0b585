// IPVS mode as a source of rules: what objects come to in it, in the same form as dumps have it.
import { printIpsetSave } from '../ipset/print.ts'
import type { Ruleset } from '../iptables/rule.ts'
import { parseSavedSets, type SavedSets } from '../iptables/simulate-sets.ts'
import { compileIpvs } from '../ipvs/compile.ts'
import { printIpvsadmSave } from '../ipvs/print.ts'
import { type ShownState, showState } from '../ipvs/shown-state.ts'
import type { Family, Ip } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'

export interface CompiledIpvs {
  readonly families: ReadonlyMap<Family, Ruleset>
  readonly sets: SavedSets
  /** As `ipvsadm -Sn` prints them. */
  readonly ipvs: string
  /** Of kube-ipvs0. */
  readonly addresses: ReadonlySet<Ip>
  readonly states: ReadonlyMap<Family, ShownState>
}

export interface IpvsInput {
  readonly snapshot: Snapshot
  readonly config: ProxyConfig
  readonly node: NodeFacts
}

export function compileIpvsSource({ snapshot, config, node }: IpvsInput, families: readonly Family[]): CompiledIpvs {
  const states = new Map(
    families.map((family) => [family, showState(compileIpvs(snapshot, config, node, family))] as const),
  )
  const all = [...states.values()]
  return {
    families: new Map(all.map(({ family, ruleset }) => [family, ruleset])),
    sets: parseSavedSets(printIpsetSave(all.flatMap(({ sets }) => sets))).sets,
    ipvs: printIpvsadmSave(all.flatMap(({ virtualServers }) => virtualServers.map((each) => each.virtualServer))),
    addresses: new Set(all.flatMap(({ addresses }) => addresses)),
    states,
  }
}
