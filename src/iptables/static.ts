// The rules that depend on the node and the configuration alone: kube-proxy's fixed chains, and the jumps to them.
import type { Cidr } from '../model/address.ts'
import { hostCidr } from '../model/address.ts'
import type { Chunk, Entry, OwnedChain } from './chunk.ts'
import {
  CANARY,
  EXTERNAL_SERVICES,
  FIREWALL,
  FORWARD,
  INVALID_DROPPED_COUNTER,
  MARK_MASQ,
  NODE_PORTS,
  POSTROUTING,
  PROXY_FIREWALL,
  SERVICES,
} from './names.ts'
import type { ChainName, MarkBits, Match, Rule, TableName } from './rule.ts'
import { ACCEPT, comment, DROP, jump, TO_LOCAL } from './rule-parts.ts'
import type { IptablesSettings } from './settings.ts'

export const STATIC_OWNER = 'static'

const NEW: Match = { kind: 'conntrack', states: { value: ['NEW'] } }
const LOOPBACK_NETWORK = '127.0.0.0/8' as Cidr
const PORTALS = 'kubernetes service portals'
const LOCAL_PORTS_NOTE = 'kubernetes service nodeports; NOTE: this must be the last rule in this chain'

/** A jump from a base chain. kube-proxy inserts each at the top, in this order, so they end up in reverse. */
export const BASE_CHAIN_JUMPS: readonly Entry[] = [
  baseJump('filter', 'INPUT', EXTERNAL_SERVICES, 'kubernetes externally-visible service portals', NEW),
  baseJump('filter', 'FORWARD', EXTERNAL_SERVICES, 'kubernetes externally-visible service portals', NEW),
  baseJump('filter', 'INPUT', NODE_PORTS, 'kubernetes health check service ports'),
  baseJump('filter', 'FORWARD', SERVICES, PORTALS, NEW),
  baseJump('filter', 'OUTPUT', SERVICES, PORTALS, NEW),
  baseJump('filter', 'FORWARD', FORWARD, 'kubernetes forwarding rules'),
  baseJump('filter', 'INPUT', PROXY_FIREWALL, 'kubernetes load balancer firewall', NEW),
  baseJump('filter', 'OUTPUT', PROXY_FIREWALL, 'kubernetes load balancer firewall', NEW),
  baseJump('filter', 'FORWARD', PROXY_FIREWALL, 'kubernetes load balancer firewall', NEW),
  baseJump('nat', 'OUTPUT', SERVICES, PORTALS),
  baseJump('nat', 'PREROUTING', SERVICES, PORTALS),
  baseJump('nat', 'POSTROUTING', POSTROUTING, 'kubernetes postrouting rules'),
  { table: 'filter', chain: 'INPUT', rule: { matches: [], target: jump(FIREWALL) } },
  { table: 'filter', chain: 'OUTPUT', rule: { matches: [], target: jump(FIREWALL) } },
]

/** The fixed chains; the shared ones among them are empty here but for what must stand last in KUBE-SERVICES. */
export function compileStatic(settings: IptablesSettings): Chunk {
  return {
    owner: STATIC_OWNER,
    chains: [
      ...['mangle', 'nat', 'filter'].map((table) => chain(table, CANARY, [])),
      chain('filter', SERVICES, []),
      chain('filter', EXTERNAL_SERVICES, []),
      chain('filter', FORWARD, forwardRules(settings)),
      chain('filter', NODE_PORTS, []),
      chain('filter', PROXY_FIREWALL, []),
      chain('filter', FIREWALL, firewallRules(settings)),
      chain('nat', SERVICES, nodePortJumps(settings)),
      chain('nat', NODE_PORTS, []),
      chain('nat', POSTROUTING, postroutingRules(settings)),
      chain('nat', MARK_MASQ, [markRule(settings)]),
    ],
    entries: [],
  }
}

/** KUBE-FORWARD: without it, a FORWARD policy of DROP would stop Services. */
export function forwardRules(settings: IptablesSettings): readonly Rule[] {
  const counter: readonly Match[] = settings.nfacct ? [{ kind: 'nfacct', name: INVALID_DROPPED_COUNTER }] : []
  const dropInvalid: Rule = {
    matches: [{ kind: 'conntrack', states: { value: ['INVALID'] } }, ...counter],
    target: DROP,
  }
  return [
    // Without it, a retransmission that conntrack takes for invalid passes untranslated and resets the connection
    // (https://issues.k8s.io/74839). A liberal conntrack has no such packets.
    ...(settings.tcpBeLiberal ? [] : [dropInvalid]),
    {
      matches: [comment('kubernetes forwarding rules'), { kind: 'mark', mark: { value: markBits(settings) } }],
      target: ACCEPT,
    },
    {
      matches: [
        comment('kubernetes forwarding conntrack rule'),
        { kind: 'conntrack', states: { value: ['RELATED', 'ESTABLISHED'] } },
      ],
      target: ACCEPT,
    },
  ]
}

/** route_localnet, which localhost node ports need, would let neighbours reach 127.0.0.1 (CVE-2020-8558). */
function firewallRules(settings: IptablesSettings): readonly Rule[] {
  if (!settings.localhostNodePorts) return []
  return [
    {
      source: { value: LOOPBACK_NETWORK, not: true },
      destination: { value: LOOPBACK_NETWORK },
      matches: [
        comment('block incoming localnet connections'),
        { kind: 'conntrack', states: { value: ['RELATED', 'ESTABLISHED', 'DNAT'], not: true } },
      ],
      target: DROP,
    },
  ]
}

/** What masquerades marked packets, at the end of KUBE-POSTROUTING. */
export function postroutingRules(settings: IptablesSettings): readonly Rule[] {
  const mark = markBits(settings)
  return [
    { matches: [{ kind: 'mark', mark: { value: mark, not: true } }], target: { kind: 'return' } },
    // Cleared, so that the packet is not masqueraded again when it passes a second time, as in overlay networks.
    { matches: [], target: { kind: 'mark', xmark: { value: mark.value, mask: 0 } } },
    {
      matches: [comment('kubernetes service traffic requiring SNAT')],
      target: { kind: 'masquerade', randomFully: settings.randomFully },
    },
  ]
}

/** KUBE-MARK-MASQ: marks a packet to be masqueraded later. */
export function markRule(settings: IptablesSettings): Rule {
  return { matches: [], target: { kind: 'mark', xmark: markBits(settings) } }
}

function nodePortJumps(settings: IptablesSettings): readonly Rule[] {
  const target = jump(NODE_PORTS)
  const matches = [comment(LOCAL_PORTS_NOTE)]
  if (settings.nodePortAddresses !== 'local') {
    return settings.nodePortAddresses.map((ip) => ({ destination: { value: hostCidr(ip) }, matches, target }))
  }
  const excluded =
    settings.family === 'ipv6' ? ('::1/128' as Cidr) : settings.localhostNodePorts ? undefined : LOOPBACK_NETWORK
  return [
    {
      ...(excluded !== undefined && { destination: { value: excluded, not: true } }),
      matches: [...matches, TO_LOCAL],
      target,
    },
  ]
}

function markBits({ masqueradeMark }: IptablesSettings): MarkBits {
  return { value: masqueradeMark, mask: masqueradeMark }
}

function chain(table: TableName, name: ChainName, rules: readonly Rule[]): OwnedChain {
  return { table, name, rules }
}

/** A jump from a base chain, with a comment. */
export function baseJump(table: TableName, from: ChainName, to: ChainName, text: string, state?: Match): Entry {
  const matches = state === undefined ? [comment(text)] : [state, comment(text)]
  return { table, chain: from, rule: { matches, target: jump(to) } }
}
