// Checks of a node's kernel, when it or a dump of it is at hand: rules that are missing or differ, a full connection
// table, and MTUs that do not fit each other.

import { LARGE_CLUSTER_ENDPOINTS } from '../iptables/compile.ts'
import { type KernelChain, type KernelText, linesOf, ruleTextsOf } from '../iptables/kernel-text.ts'
import { linkServices } from '../iptables/link.ts'
import { isServiceChain } from '../iptables/names.ts'
import { printRule } from '../iptables/print-rule.ts'
import type { Program } from '../iptables/program.ts'
import type { Chain, ChainName, Rule, Ruleset, TableName } from '../iptables/rule.ts'
import { settingsFor } from '../iptables/settings.ts'
import { BASE_CHAIN_JUMPS, compileStatic } from '../iptables/static.ts'
import type { Family } from '../model/address.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Finding } from './finding.ts'
import type { NetworkLink } from './kernel-state.ts'
import { type Check, onService, type Subject } from './subject.ts'
import type { Viewpoint } from './viewpoint.ts'
import { count, familyName, join } from './words.ts'

/** Compares the Service's own chains, and its lines in chains that all share, with those of the kernel. */
export const rulesDiffer: Check = (subject) => {
  const { kernel, node } = subject.view
  if (kernel === undefined || kernel.mode !== 'iptables' || node === undefined) return []
  return [...kernel.rules].flatMap(([family, actual]) => {
    const servicePorts = subject.ports.filter((port) => port.family === family).map(({ servicePort }) => servicePort)
    if (servicePorts.length === 0) return []
    const program = { ...emptyProgram(subject.view, node, subject.cluster, family), servicePorts }
    const wanted = linkServices(program)
    const differences = compareRules(wanted, actual, kernel.texts?.get(family))
    return differences.length === 0 ? [] : [differenceFinding(subject, wanted, differences)]
  })
}

function differenceFinding(subject: Subject, wanted: Ruleset, differences: readonly Difference[]): Finding {
  const { kernel, node, assumesConfig } = subject.view
  const where = kernel?.label ?? 'the kernel'
  const family = familyName(wanted.family)
  const chains = [...wanted.tables.values()].reduce((sum, table) => sum + table.size, 0)
  if (differences.length === chains && differences.every(({ kind }) => kind !== 'differs')) {
    const means = `There are no ${family} rules of this Service (${where}).`
    return onService(subject, 'rules-missing', 'error', undefined, means, SEE_THE_PROXY)
  }
  const shown = join(differences.map(({ table, chain, kind }) => `${chain} of ${table} ${DIFFERS[kind]}`))
  const means = `The ${family} rules of ${where} are not those that this Service comes to on node ${node?.name ?? ''}: ${shown}.`
  // Defaults differ from what nearly every cluster runs with.
  if (assumesConfig === true) return onService(subject, 'rules-differ', 'warning', undefined, means, GIVE_CONFIG)
  return onService(subject, 'rules-differ', 'error', undefined, means, SEE_THE_PROXY)
}

const DIFFERS = { missing: 'is missing', lines: 'lacks its lines', differs: 'differs' } as const
const SEE_THE_PROXY =
  'See that kube-proxy or sluice runs on the node, its last sync succeeded, and no other program changes its chains (sluice verify shows more).'
const GIVE_CONFIG =
  "Give --config FILE, the configuration that the node's proxy runs with: without it, its defaults are assumed, and rules for masquerading may differ for that reason alone."

interface Difference {
  readonly table: TableName
  readonly chain: ChainName
  readonly kind: 'missing' | 'lines' | 'differs'
}

/** Settings are the same for every Service, and counting endpoints would cost more than the comparison. */
const emptyPrograms = new WeakMap<Viewpoint, Map<Family, Program>>()

function emptyProgram(view: Viewpoint, node: NodeFacts, cluster: Subject['cluster'], family: Family): Program {
  const programs = emptyPrograms.get(view) ?? new Map<Family, Program>()
  emptyPrograms.set(view, programs)
  const found = programs.get(family)
  if (found !== undefined) return found
  const settings = settingsFor(view.config, node, family)
  const endpointComments = countEndpoints(cluster, family) <= LARGE_CLUSTER_ENDPOINTS
  const program: Program = {
    family,
    settings: { ...settings, endpointComments },
    static: compileStatic(settings),
    jumps: BASE_CHAIN_JUMPS,
    servicePorts: [],
  }
  programs.set(family, program)
  return program
}

/** As many as the compiler counts, which is by port. It stops where more makes no difference. */
function countEndpoints({ snapshot }: Subject['cluster'], family: Family): number {
  let sum = 0
  for (const { service, slices } of snapshot.services) {
    if (service.clusterIPs[family] === undefined) continue
    for (const slice of slices) if (slice.family === family) sum += slice.endpoints.length * slice.ports.length
    if (sum > LARGE_CLUSTER_ENDPOINTS) break
  }
  return sum
}

function compareRules(wanted: Ruleset, actual: Ruleset, text: KernelText | undefined): readonly Difference[] {
  const differences: Difference[] = []
  for (const [table, chains] of wanted.tables) {
    for (const [chain, { rules }] of chains) {
      const found = actual.tables.get(table)?.get(chain)
      const saved = text?.tables.get(table)?.get(chain)
      const kind = compareChain(chain, rules, found, saved, wanted.family)
      if (kind !== undefined) differences.push({ table, chain, kind })
    }
  }
  return differences
}

/** `saved` is the text of `found`, which is not looked at beside it. */
function compareChain(
  name: ChainName,
  wanted: readonly Rule[],
  found: Chain | undefined,
  saved: KernelChain | undefined,
  family: Family,
): Difference['kind'] | undefined {
  if (found === undefined) return 'missing'
  const lines = wanted.map((rule) => printRule(rule, family))
  if (!isServiceChain(name)) {
    const present = printedLines(name, found, saved, family)
    return lines.every((line) => present.has(line)) ? undefined : 'lines'
  }
  if (saved !== undefined) {
    return linesOf(saved) === lines.map((line) => `-A ${name} ${line}\n`).join('') ? undefined : 'differs'
  }
  const same =
    found.rules.length === lines.length && found.rules.every((rule, index) => printRule(rule, family) === lines[index])
  return same ? undefined : 'differs'
}

/** A shared chain is asked about once for every Service. */
const printed = new WeakMap<Chain, ReadonlySet<string>>()

function printedLines(
  name: ChainName,
  chain: Chain,
  saved: KernelChain | undefined,
  family: Family,
): ReadonlySet<string> {
  const known = printed.get(chain)
  if (known !== undefined) return known
  const lines = saved === undefined ? chain.rules.map((rule) => printRule(rule, family)) : ruleTextsOf(name, saved)
  const set = new Set(lines)
  printed.set(chain, set)
  return set
}

const NEARLY_FULL = 0.9

/** https://docs.kernel.org/networking/nf_conntrack-sysctl.html */
export const conntrackFull: Check = ({ view: { kernel } }) => {
  if (kernel?.conntrack === undefined || kernel.conntrack.max === 0) return []
  const { count: used, max } = kernel.conntrack
  if (used < max * NEARLY_FULL) return []
  const full = used >= max
  return [
    {
      severity: full ? 'error' : 'warning',
      check: 'conntrack-full',
      at: { object: kernel.label, field: 'net.netfilter.nf_conntrack_max' },
      means: `The connection table ${full ? 'is full' : 'is nearly full'} (${used} of ${max})${full ? ': new connections are dropped, to any Service' : '; when it is full, new connections are dropped'}.`,
      advice:
        "Raise conntrack.maxPerCore or conntrack.min in kube-proxy's configuration, or find who opens so many connections.",
    },
  ]
}

/** Bytes that each kind of tunnel adds, with an outer header of IPv4. */
const TUNNEL_OVERHEAD: Readonly<Record<string, number>> = { vxlan: 50, geneve: 50, wireguard: 60, ipip: 20, gre: 24 }

/** Packets that are too big for the way between nodes get lost in silence: small answers work, big ones hang. */
export const mtuMismatch: Check = ({ view: { kernel } }) => {
  if (kernel === undefined) return []
  const outer = kernel.links.find(({ uplink }) => uplink)
  const tunnels = kernel.links.filter(({ kind }) => TUNNEL_OVERHEAD[kind] !== undefined)
  const narrowest = tunnels.toSorted((a, b) => a.mtu - b.mtu)[0]
  return [
    ...tunnels.flatMap((tunnel) => tunnelTooWide(kernel.label, tunnel, outer)),
    ...podsTooWide(kernel.label, kernel.links, narrowest),
  ]
}

function tunnelTooWide(label: string, tunnel: NetworkLink, outer: NetworkLink | undefined): readonly Finding[] {
  const overhead = TUNNEL_OVERHEAD[tunnel.kind] ?? 0
  if (outer === undefined || tunnel.mtu <= outer.mtu - overhead) return []
  return [
    {
      severity: 'warning',
      check: 'mtu-tunnel',
      at: { object: label, field: `interface ${tunnel.name}` },
      means: `Its MTU is ${tunnel.mtu}, and ${tunnel.kind} adds ${overhead} bytes, which do not fit through ${outer.name} (${outer.mtu}): big packets to Pods of other nodes are lost, and connections hang.`,
      advice: `Set the MTU of the pod network to at most ${outer.mtu - overhead}.`,
    },
  ]
}

function podsTooWide(
  label: string,
  links: readonly NetworkLink[],
  tunnel: NetworkLink | undefined,
): readonly Finding[] {
  const wide = links.filter(({ toPod, mtu }) => toPod && tunnel !== undefined && mtu > tunnel.mtu)
  if (tunnel === undefined || wide.length === 0) return []
  return [
    {
      severity: 'warning',
      check: 'mtu-pods',
      at: {
        object: label,
        field: `interface ${join(
          wide.map(({ name }) => name),
          3,
        )}`,
      },
      means: `${count(wide.length, 'Pod')} of this node ${wide.length === 1 ? 'has' : 'have'} a bigger MTU than ${tunnel.name} (${tunnel.mtu}), by which they reach other nodes.`,
      advice: 'Restart these Pods after the MTU of the pod network was lowered.',
    },
  ]
}
