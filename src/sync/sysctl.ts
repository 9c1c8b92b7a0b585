// The kernel settings that a configuration asks for, as steps. Only those that differ become steps, so a container that
// may not write /proc/sys starts where somebody else has set them.
import type { ConntrackConfig } from '../model/config.ts'

export interface SysctlStep {
  /** From the root: `/proc/sys/net/...` */
  readonly path: string
  readonly value: number
  /** What asks for it. */
  readonly why: string
}

export interface SysctlNeeds {
  readonly conntrack: ConntrackConfig
  /** Logical CPUs of the machine. */
  readonly cpus: number
  /** Iptables mode, IPv4: node ports answer on 127.0.0.1 (IptablesSettings.localhostNodePorts). */
  readonly localhostNodePorts: boolean
}

/** By path; a file that can't be read is absent. */
export type SysctlValues = ReadonlyMap<string, number>

const NETFILTER = '/proc/sys/net/netfilter/nf_conntrack_'
/** There whenever connection tracking is. */
export const CONNTRACK_MAX = `${NETFILTER}max`
const ROUTE_LOCALNET = '/proc/sys/net/ipv4/conf/all/route_localnet'
const HASH_SIZE = '/sys/module/nf_conntrack/parameters/hashsize'
/** kube-proxy's limit: entries are memory of the kernel. */
const LARGEST_TABLE = 1_048_576
/** Entries for each place of the hash table. */
const ENTRIES_PER_BUCKET = 4

/** Every file that planSysctls may ask for. */
export const SYSCTL_PATHS: readonly string[] = [
  CONNTRACK_MAX,
  HASH_SIZE,
  `${NETFILTER}tcp_timeout_established`,
  `${NETFILTER}tcp_timeout_close_wait`,
  `${NETFILTER}tcp_be_liberal`,
  `${NETFILTER}udp_timeout`,
  `${NETFILTER}udp_timeout_stream`,
  ROUTE_LOCALNET,
]

/** What has to be written, in this order. An unknown current value counts as different. */
export function planSysctls(needs: SysctlNeeds, current: SysctlValues): readonly SysctlStep[] {
  const steps = [...conntrackTable(needs), ...conntrackTimes(needs.conntrack)]
  if (needs.localhostNodePorts) steps.push({ path: ROUTE_LOCALNET, value: 1, why: 'node ports answer on 127.0.0.1' })
  return steps.filter(({ path, value }) => {
    const now = current.get(path)
    // A hash table larger than needed is not made smaller.
    return now === undefined || (path === HASH_SIZE ? now < value : now !== value)
  })
}

/** The number of entries that the connection table may have; 0 leaves it as it is. */
export function conntrackMax({ maxPerCore, min }: ConntrackConfig, cpus: number): number {
  if (maxPerCore <= 0) return 0
  const scaled = maxPerCore * cpus
  // The limit wins even over a larger minimum, as in kube-proxy.
  return scaled > LARGEST_TABLE ? LARGEST_TABLE : Math.max(scaled, min)
}

function conntrackTable({ conntrack, cpus }: SysctlNeeds): readonly SysctlStep[] {
  const max = conntrackMax(conntrack, cpus)
  if (max <= 0) return []
  return [
    { path: CONNTRACK_MAX, value: max, why: `conntrack.maxPerCore ${conntrack.maxPerCore} on ${cpus} CPUs` },
    { path: HASH_SIZE, value: Math.floor(max / ENTRIES_PER_BUCKET), why: `room for ${max} conntrack entries` },
  ]
}

function conntrackTimes(conntrack: ConntrackConfig): readonly SysctlStep[] {
  const wanted = [
    ['tcp_timeout_established', seconds(conntrack.tcpEstablishedTimeout), 'tcpEstablishedTimeout'],
    ['tcp_timeout_close_wait', seconds(conntrack.tcpCloseWaitTimeout), 'tcpCloseWaitTimeout'],
    // Never set back to 0: somebody else may want it.
    ['tcp_be_liberal', conntrack.tcpBeLiberal ? 1 : undefined, 'tcpBeLiberal'],
    ['udp_timeout', seconds(conntrack.udpTimeout), 'udpTimeout'],
    ['udp_timeout_stream', seconds(conntrack.udpStreamTimeout), 'udpStreamTimeout'],
  ] as const
  return wanted.flatMap(([name, value, option]) =>
    value === undefined ? [] : [{ path: NETFILTER + name, value, why: `conntrack.${option}` }],
  )
}

/** Whole seconds; 0 leaves the system's value. */
function seconds(milliseconds: number): number | undefined {
  return milliseconds > 0 ? Math.trunc(milliseconds / 1000) : undefined
}
