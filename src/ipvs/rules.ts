// The rules around IPVS: fixed chains that look packets up in the sets. kube-proxy leaves out the rules of sets that are
// empty, so the chains depend on which are; facts: its pkg/proxy/ipvs/proxier.go, writeIptablesRules.
import type { Chunk, OwnedChain } from '../iptables/chunk.ts'
import {
  IPVS_FILTER,
  IPVS_JUMPS,
  IPVS_LOAD_BALANCER,
  IPVS_NODE_PORT,
  IPVS_OUT_FILTER,
  IPVS_SOURCE_RANGES,
  RETIRED_BY_IPVS,
} from '../iptables/ipvs-chains.ts'
import { FORWARD, MARK_MASQ, POSTROUTING, PROXY_FIREWALL, SERVICES } from '../iptables/names.ts'
import type { Program } from '../iptables/program.ts'
import type { Match, Rule, Target } from '../iptables/rule.ts'
import { ACCEPT, comment, DROP, fromPods, jump, rejectWith, TO_LOCAL } from '../iptables/rule-parts.ts'
import type { ServiceSettings } from '../iptables/service-rules.ts'
import { forwardRules, markRule, postroutingRules, STATIC_OWNER } from '../iptables/static.ts'
import type { Cidr, Family } from '../model/address.ts'
import { type BaseSetName, setComment, setName } from './sets.ts'
import type { IpvsSettings } from './settings.ts'

/** What the rules depend on beside the settings. */
export interface RuleFacts {
  /** Sets that have entries. */
  readonly filled: ReadonlySet<BaseSetName>
  /** KUBE-IPVS-OUT-FILTER, in the order of the owners. */
  readonly outFilter: readonly Rule[]
}

/** The iptables Program of IPVS mode; it has no ServicePorts. */
export function compileIpvsRules(settings: IpvsSettings, facts: RuleFacts): Program {
  return {
    family: settings.family,
    settings: iptablesSettings(settings),
    static: { owner: STATIC_OWNER, chains: compileChains(settings, facts), entries: [] } satisfies Chunk,
    jumps: IPVS_JUMPS,
    servicePorts: [],
    retired: RETIRED_BY_IPVS,
  }
}

function compileChains(settings: IpvsSettings, facts: RuleFacts): readonly OwnedChain[] {
  const { family } = settings
  const shared = iptablesSettings(settings)
  const when = (name: BaseSetName, ...rules: readonly Rule[]) => (facts.filled.has(name) ? rules : [])
  return [
    { table: 'nat', name: SERVICES, rules: servicesRules(settings, facts.filled) },
    {
      table: 'nat',
      name: POSTROUTING,
      rules: [
        // Never with --random-fully, unlike the one at the end.
        ...when('KUBE-LOOP-BACK', { matches: named('KUBE-LOOP-BACK', family, 'dst,dst,src'), target: MASQUERADE }),
        ...postroutingRules(shared),
      ],
    },
    { table: 'nat', name: IPVS_NODE_PORT, rules: nodePortRules(family, facts.filled) },
    {
      table: 'nat',
      name: IPVS_LOAD_BALANCER,
      rules: [
        ...when('KUBE-LOAD-BALANCER-LOCAL', {
          matches: named('KUBE-LOAD-BALANCER-LOCAL', family, 'dst,dst'),
          target: RETURN,
        }),
        { matches: [], target: jump(MARK_MASQ) },
      ],
    },
    { table: 'nat', name: MARK_MASQ, rules: [markRule(shared)] },
    { table: 'filter', name: FORWARD, rules: forwardRules(shared) },
    {
      table: 'filter',
      name: IPVS_NODE_PORT,
      rules: [{ matches: named('KUBE-HEALTH-CHECK-NODE-PORT', family, 'dst'), target: ACCEPT }],
    },
    {
      table: 'filter',
      name: PROXY_FIREWALL,
      rules: when('KUBE-LOAD-BALANCER-FW', {
        matches: named('KUBE-LOAD-BALANCER-FW', family, 'dst,dst'),
        target: jump(IPVS_SOURCE_RANGES),
      }),
    },
    {
      table: 'filter',
      name: IPVS_SOURCE_RANGES,
      rules: [
        ...SOURCE_SETS.flatMap((name) => when(name, { matches: named(name, family, 'dst,dst,src'), target: RETURN })),
        { matches: [], target: DROP },
      ],
    },
    { table: 'filter', name: IPVS_FILTER, rules: accessRules(family) },
    { table: 'filter', name: IPVS_OUT_FILTER, rules: facts.outFilter },
  ]
}

const RETURN: Target = { kind: 'return' }
const MASQUERADE: Target = { kind: 'masquerade', randomFully: false }
const SOURCE_SETS: readonly BaseSetName[] = ['KUBE-LOAD-BALANCER-SOURCE-CIDR', 'KUBE-LOAD-BALANCER-SOURCE-IP']
const LOOPBACK: Readonly<Record<Family, Cidr>> = { ipv4: '127.0.0.0/8' as Cidr, ipv6: '::1/128' as Cidr }
const NOT_BRIDGED: Match = { kind: 'physdev', isIn: false }
const FROM_ELSEWHERE: Match = { kind: 'addrtype', source: { value: 'LOCAL', not: true } }

function servicesRules(settings: IpvsSettings, filled: RuleFacts['filled']): readonly Rule[] {
  const { family } = settings
  const rules: Rule[] = [{ source: { value: LOOPBACK[family] }, matches: [], target: RETURN }]
  if (filled.has('KUBE-LOAD-BALANCER')) {
    rules.push({ matches: named('KUBE-LOAD-BALANCER', family, 'dst,dst'), target: jump(IPVS_LOAD_BALANCER) })
  }
  if (filled.has('KUBE-CLUSTER-IP')) rules.push(clusterMasqueradeRule(settings))
  if (filled.has('KUBE-EXTERNAL-IP')) {
    rules.push({ matches: named('KUBE-EXTERNAL-IP', family, 'dst,dst'), target: jump(MARK_MASQ) })
    rules.push(...externalAcceptRules('KUBE-EXTERNAL-IP', family))
  }
  if (filled.has('KUBE-EXTERNAL-IP-LOCAL')) rules.push(...externalAcceptRules('KUBE-EXTERNAL-IP-LOCAL', family))
  rules.push({ matches: [TO_LOCAL], target: jump(IPVS_NODE_PORT) })
  for (const name of ['KUBE-CLUSTER-IP', 'KUBE-LOAD-BALANCER'] as const) {
    if (filled.has(name)) rules.push({ matches: [inSet(name, family, 'dst,dst')], target: ACCEPT })
  }
  return rules
}

/** Traffic to cluster IPs is masqueraded: all of it, what does not come from Pods, or what comes from the cluster IP. */
function clusterMasqueradeRule({ family, masqueradeAll, localDetector }: IpvsSettings): Rule {
  const target = jump(MARK_MASQ)
  if (masqueradeAll) return { matches: named('KUBE-CLUSTER-IP', family, 'dst,dst'), target }
  // Without a detector: the node's own traffic to a cluster IP, whose source kube-ipvs0 makes the cluster IP itself.
  if (localDetector === undefined) return { matches: named('KUBE-CLUSTER-IP', family, 'src,dst'), target }
  return { ...fromPods(localDetector, true), matches: named('KUBE-CLUSTER-IP', family, 'dst,dst'), target }
}

/** Packets of other nodes or clients, and of this node itself: neither bridged, and both to be served here. */
function externalAcceptRules(name: BaseSetName, family: Family): readonly Rule[] {
  const toService = named(name, family, 'dst,dst')
  return [
    { matches: [...toService, NOT_BRIDGED, FROM_ELSEWHERE], target: ACCEPT },
    { matches: [...toService, TO_LOCAL], target: ACCEPT },
  ]
}

const NODE_PORT_SETS: readonly (readonly [protocol: string, set: BaseSetName, directions: string, target: Target])[] = [
  ['tcp', 'KUBE-NODE-PORT-LOCAL-TCP', 'dst', RETURN],
  ['tcp', 'KUBE-NODE-PORT-TCP', 'dst', jump(MARK_MASQ)],
  ['udp', 'KUBE-NODE-PORT-LOCAL-UDP', 'dst', RETURN],
  ['udp', 'KUBE-NODE-PORT-UDP', 'dst', jump(MARK_MASQ)],
  ['sctp', 'KUBE-NODE-PORT-LOCAL-SCTP-HASH', 'dst,dst', RETURN],
  ['sctp', 'KUBE-NODE-PORT-SCTP-HASH', 'dst,dst', jump(MARK_MASQ)],
]

function nodePortRules(family: Family, filled: RuleFacts['filled']): readonly Rule[] {
  return NODE_PORT_SETS.filter(([, set]) => filled.has(set)).map(([protocol, set, directions, target]) => ({
    protocol: { value: protocol },
    matches: named(set, family, directions),
    target,
  }))
}

/** What is bound to kube-ipvs0 is this node's own address: only Services may be reached there. */
function accessRules(family: Family): readonly Rule[] {
  const pass = (name: BaseSetName, directions: string): Rule => ({
    matches: [inSet(name, family, directions)],
    target: RETURN,
  })
  return [
    pass('KUBE-LOAD-BALANCER', 'dst,dst'),
    pass('KUBE-CLUSTER-IP', 'dst,dst'),
    pass('KUBE-EXTERNAL-IP', 'dst,dst'),
    pass('KUBE-EXTERNAL-IP-LOCAL', 'dst,dst'),
    pass('KUBE-HEALTH-CHECK-NODE-PORT', 'dst'),
    {
      matches: [{ kind: 'conntrack', states: { value: ['NEW'] } }, inSet('KUBE-IPVS-IPS', family, 'dst')],
      target: rejectWith(family),
    },
  ]
}

function named(name: BaseSetName, family: Family, directions: string): readonly Match[] {
  return [comment(setComment(name)), inSet(name, family, directions)]
}

function inSet(name: BaseSetName, family: Family, directions: string): Match {
  return { kind: 'set', set: { value: { name: setName(name, family), directions } } }
}

/** What the rules that both modes have need to know. A liberal conntrack stands for having no rule about INVALID. */
/** The same object for the same settings: by it the syncer knows that fixed rules may be compared one by one. */
function iptablesSettings(settings: IpvsSettings): ServiceSettings {
  const known = settingsOfRules.get(settings) ?? makeIptablesSettings(settings)
  settingsOfRules.set(settings, known)
  return known
}

const settingsOfRules = new WeakMap<IpvsSettings, ServiceSettings>()

function makeIptablesSettings(settings: IpvsSettings): ServiceSettings {
  const { family, masqueradeMark, masqueradeAll, localDetector, randomFully, nodePortAddresses } = settings
  return {
    family,
    masqueradeMark,
    masqueradeAll,
    ...(localDetector && { localDetector }),
    localhostNodePorts: false,
    nodePortAddresses,
    nfacct: false,
    randomFully,
    tcpBeLiberal: true,
    endpointComments: false,
  }
}
