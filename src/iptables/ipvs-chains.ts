// The fixed chains and jumps of IPVS mode, and what either mode removes of the other. They stand here and not in
// src/ipvs because iptables mode names them too: whoever changes modes finds the other one's rules in the kernel.
import type { Entry } from './chunk.ts'
import {
  CANARY,
  EXTERNAL_SERVICES,
  FIREWALL,
  FORWARD,
  MARK_MASQ,
  NODE_PORTS,
  POSTROUTING,
  PROXY_FIREWALL,
  SERVICES,
} from './names.ts'
import { printRule } from './print-rule.ts'
import type { Retired } from './program.ts'
import type { ChainName, TableName } from './rule.ts'
import { jumpTarget } from './rule.ts'
import { BASE_CHAIN_JUMPS, baseJump } from './static.ts'

export const IPVS_NODE_PORT = 'KUBE-NODE-PORT'
export const IPVS_LOAD_BALANCER = 'KUBE-LOAD-BALANCER'
export const IPVS_SOURCE_RANGES = 'KUBE-SOURCE-RANGES-FIREWALL'
export const IPVS_FILTER = 'KUBE-IPVS-FILTER'
export const IPVS_OUT_FILTER = 'KUBE-IPVS-OUT-FILTER'

type FixedChain = readonly [TableName, ChainName]

/** In the order in which kube-proxy declares them. */
const IPVS_CHAINS: readonly FixedChain[] = [
  ['nat', SERVICES],
  ['nat', POSTROUTING],
  ['nat', IPVS_NODE_PORT],
  ['nat', IPVS_LOAD_BALANCER],
  ['nat', MARK_MASQ],
  ['filter', FORWARD],
  ['filter', IPVS_NODE_PORT],
  ['filter', PROXY_FIREWALL],
  ['filter', IPVS_SOURCE_RANGES],
  ['filter', IPVS_FILTER],
  ['filter', IPVS_OUT_FILTER],
]

/** KUBE-FIREWALL is not among them: the kubelet uses it too, and kube-proxy never removes it. */
const IPTABLES_CHAINS: readonly FixedChain[] = [
  ['mangle', CANARY],
  ['nat', CANARY],
  ['filter', CANARY],
  ['filter', SERVICES],
  ['filter', EXTERNAL_SERVICES],
  ['filter', FORWARD],
  ['filter', NODE_PORTS],
  ['filter', PROXY_FIREWALL],
  ['nat', SERVICES],
  ['nat', NODE_PORTS],
  ['nat', POSTROUTING],
  ['nat', MARK_MASQ],
]

const IPTABLES_JUMPS = BASE_CHAIN_JUMPS.filter(({ rule }) => jumpTarget(rule) !== FIREWALL)

/** Inserted at the top one after the other, so they end up in reverse. */
export const IPVS_JUMPS: readonly Entry[] = [
  baseJump('nat', 'OUTPUT', SERVICES, 'kubernetes service portals'),
  baseJump('nat', 'PREROUTING', SERVICES, 'kubernetes service portals'),
  baseJump('nat', 'POSTROUTING', POSTROUTING, 'kubernetes postrouting rules'),
  baseJump('filter', 'FORWARD', FORWARD, 'kubernetes forwarding rules'),
  baseJump('filter', 'INPUT', IPVS_NODE_PORT, 'kubernetes health check rules'),
  baseJump('filter', 'INPUT', PROXY_FIREWALL, 'kube-proxy firewall rules'),
  baseJump('filter', 'FORWARD', PROXY_FIREWALL, 'kube-proxy firewall rules'),
  baseJump('filter', 'INPUT', IPVS_FILTER, 'kubernetes ipvs access filter'),
  baseJump('filter', 'OUTPUT', IPVS_OUT_FILTER, 'kubernetes ipvs access filter'),
]

/** What iptables mode removes where it is found. */
export const RETIRED_BY_IPTABLES: Retired = {
  chains: chainsWithout(IPVS_CHAINS, IPTABLES_CHAINS),
  jumps: jumpsWithout(IPVS_JUMPS, IPTABLES_JUMPS),
}

/** What IPVS mode removes where it is found. */
export const RETIRED_BY_IPVS: Retired = {
  chains: chainsWithout(IPTABLES_CHAINS, IPVS_CHAINS),
  jumps: jumpsWithout(IPTABLES_JUMPS, IPVS_JUMPS),
}

function chainsWithout(chains: readonly FixedChain[], others: readonly FixedChain[]): Retired['chains'] {
  return chains
    .filter(([table, name]) => !others.some(([otherTable, other]) => otherTable === table && other === name))
    .map(([table, name]) => ({ table, name }))
}

function jumpsWithout(jumps: readonly Entry[], others: readonly Entry[]): readonly Entry[] {
  const texts = new Set(others.map(textOf))
  return jumps.filter((jump) => !texts.has(textOf(jump)))
}

/** Jumps have no addresses, so they read the same in both families. */
function textOf({ table, chain, rule }: Entry): string {
  return `${table} ${chain} ${printRule(rule, 'ipv4')}`
}
