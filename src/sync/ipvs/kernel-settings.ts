// The kernel settings of IPVS mode, as steps (kube-proxy's, in its order), and IPVS's own time-outs.
import type { IpvsConfig } from '../../model/config.ts'
import type { SysctlStep, SysctlValues } from '../sysctl.ts'

export interface IpvsNeeds {
  readonly strictARP: boolean
  /** `uname -r`: `6.1.0-18-amd64` */
  readonly kernelRelease: string
}

const IPVS = '/proc/sys/net/ipv4/vs/'
const ALL_INTERFACES = '/proc/sys/net/ipv4/conf/all/'

/** Every file that planIpvsSysctls may ask for; those of IPVS are there once its module is loaded. */
export const IPVS_SYSCTL_PATHS: readonly string[] = [
  `${IPVS}conntrack`,
  `${IPVS}conn_reuse_mode`,
  `${IPVS}expire_nodest_conn`,
  `${IPVS}expire_quiescent_template`,
  '/proc/sys/net/ipv4/ip_forward',
  `${ALL_INTERFACES}arp_ignore`,
  `${ALL_INTERFACES}arp_announce`,
]

/** What has to be written, in this order. An unknown current value counts as different. */
export function planIpvsSysctls(needs: IpvsNeeds, current: SysctlValues): readonly SysctlStep[] {
  const steps: SysctlStep[] = [
    { path: `${IPVS}conntrack`, value: 1, why: 'rules see and masquerade the connections of IPVS' },
    ...connectionReuse(needs),
    { path: `${IPVS}expire_nodest_conn`, value: 1, why: 'a connection to a removed endpoint ends at once' },
    {
      path: `${IPVS}expire_quiescent_template`,
      value: 1,
      why: 'session affinity does not hold clients to an endpoint that is going away',
    },
    { path: '/proc/sys/net/ipv4/ip_forward', value: 1, why: 'packets are passed on to endpoints' },
    ...(needs.strictARP ? STRICT_ARP : []),
  ]
  return steps.filter(({ path, value }) => current.get(path) !== value)
}

const STRICT_ARP: readonly SysctlStep[] = [
  { path: `${ALL_INTERFACES}arp_ignore`, value: 1, why: 'strictARP: no answer for addresses of the IPVS interface' },
  { path: `${ALL_INTERFACES}arp_announce`, value: 2, why: 'strictARP: no word of addresses of the IPVS interface' },
]

/**
 * A client that reuses a source port while its old connection is in TIME_WAIT: with conn_reuse_mode 1 kernels before 5.9
 * dropped its first packet, so that it stalled for a second (https://github.com/kubernetes/kubernetes/issues/81775,
 * fixed by kernel commit f0a5e4d7a594). With 0 it goes to the endpoint of the old connection, be that one removed or
 * not; later kernels do the right thing with their default. The setting is there since 4.1.
 */
function connectionReuse({ kernelRelease }: IpvsNeeds): readonly SysctlStep[] {
  const version = kernelVersion(kernelRelease)
  if (version === undefined || version < versionNumber(4, 1) || version >= versionNumber(5, 9)) return []
  return [{ path: `${IPVS}conn_reuse_mode`, value: 0, why: 'a client that reuses a port does not wait for a second' }]
}

function kernelVersion(release: string): number | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? []
  return major === undefined ? undefined : versionNumber(Number(major), Number(minor))
}

function versionNumber(major: number, minor: number): number {
  return major * 1000 + minor
}

/** The command that sets IPVS's time-outs, in seconds; undefined when none is configured. 0 keeps what the kernel has. */
export function ipvsTimeoutCommand({
  tcpTimeout,
  tcpFinTimeout,
  udpTimeout,
}: IpvsConfig): readonly [string, ...string[]] | undefined {
  const milliseconds = [tcpTimeout, tcpFinTimeout, udpTimeout]
  if (milliseconds.every((value) => value <= 0)) return undefined
  return ['ipvsadm', '--set', ...milliseconds.map((value) => String(Math.trunc(value / 1000)))]
}
