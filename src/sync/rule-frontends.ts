// Where rules that the kernel already holds send UDP: what Services had that were deleted while nobody watched. They are
// the only witness of it after a restart, and are about to be removed.
import { type KernelTable, type KernelText, ruleTextsOf } from '../iptables/kernel-text.ts'
import { NODE_PORTS, SERVICES } from '../iptables/names.ts'
import { parseSavedRule } from '../iptables/parse-rule.ts'
import { type ChainName, jumpTarget, type Rule } from '../iptables/rule.ts'
import { type Family, formatEndpoint, networkAddress, prefixLength } from '../model/address.ts'
import type { Frontends, Targets } from './conntrack.ts'

const SINGLE_ADDRESS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/**
 * The addresses and node ports of UDP in KUBE-SERVICES and KUBE-NODEPORTS, and all endpoints that a packet to them could be
 * sent to. Those of other chains are nobody's of ours, so flows of other programs' rules never count.
 */
export function readUdpFrontends(kernel: KernelText, family: Family): Frontends {
  const nat = kernel.tables.get('nat')
  const addresses = new Map<string, Targets>()
  const nodePorts = new Map<number, Targets>()
  if (nat === undefined) return { addresses, nodePorts }
  for (const rule of udpRules(nat, SERVICES, family)) {
    const { destination } = rule
    const port = portOf(rule)
    if (destination === undefined || destination.not === true || port === undefined) continue
    if (prefixLength(destination.value) !== SINGLE_ADDRESS[family]) continue
    add(addresses, formatEndpoint(networkAddress(destination.value), port), targetsOf(nat, rule, family))
  }
  for (const rule of udpRules(nat, NODE_PORTS, family)) {
    const port = portOf(rule)
    if (port !== undefined) add(nodePorts, port, targetsOf(nat, rule, family))
  }
  return { addresses, nodePorts }
}

/** Most rules are TCP's, and are not read. */
function udpRules(nat: KernelTable, name: ChainName, family: Family): readonly Rule[] {
  const chain = nat.get(name)
  if (chain === undefined) return []
  return ruleTextsOf(name, chain)
    .filter((text) => text.includes('-p udp '))
    .map((text) => parseSavedRule(text, family))
    .filter(({ protocol }) => protocol?.value === 'udp' && protocol.not !== true)
}

function portOf({ matches }: Rule): number | undefined {
  for (const match of matches) {
    if (match.kind !== 'ports' || match.protocol !== 'udp') continue
    const { destination } = match
    if (destination !== undefined && destination.not !== true && destination.value.from === destination.value.to) {
      return destination.value.from
    }
  }
  return undefined
}

function targetsOf(nat: KernelTable, rule: Rule, family: Family): Targets {
  const known = new Set<string>()
  const seen = new Set<ChainName>()
  const follow = (from: Rule): void => {
    if (from.target?.kind === 'dnat') known.add(from.target.to)
    const name = jumpTarget(from)
    const chain = name === undefined ? undefined : nat.get(name)
    if (name === undefined || chain === undefined || !name.startsWith('KUBE-') || seen.has(name)) return
    seen.add(name)
    for (const text of ruleTextsOf(name, chain)) follow(parseSavedRule(text, family))
  }
  follow(rule)
  return { serving: known, known }
}

function add<Key>(frontends: Map<Key, Targets>, key: Key, targets: Targets): void {
  if (targets.known.size === 0) return
  const known = new Set([...(frontends.get(key)?.known ?? []), ...targets.known])
  frontends.set(key, { serving: known, known })
}
