// What of virtual servers, sets and addresses is not as it should be, for log lines and metrics.
import type { SetName } from '../../ipset/ip-set.ts'
import type { IpvsState } from '../../ipvs/program.ts'
import type { VirtualServerKey } from '../../ipvs/virtual-server.ts'
import { formatEndpoint, type Ip } from '../../model/address.ts'
import { type KernelPicture, sameServer } from './picture.ts'

export interface IpvsFinding {
  readonly kind: IpvsFindingKind
  /** `tcp 10.0.0.1:80`, `KUBE-CLUSTER-IP`, `KUBE-CLUSTER-IP 10.0.0.1,tcp:80`, `10.0.0.1`, `kube-ipvs0` */
  readonly name: string
  /** The ServicePort that it concerns, `ns1/svc1:p80 tcp`, as far as one can tell. */
  readonly owner?: string
}

export type IpvsFindingKind =
  `${'missing' | 'changed' | 'stale'} ${'virtual server' | 'set' | 'entry' | 'address' | 'device'}`

/** What of the kernel is not as it was left. Parts that were not looked at are absent. */
export function compareKernel(
  left: KernelPicture,
  kernel: Partial<Pick<KernelPicture, 'sets' | 'addresses' | 'servers'>>,
  device: string,
  state: IpvsState | undefined,
): readonly IpvsFinding[] {
  const findings: IpvsFinding[] = []
  const ownerAt = createAddressOwners(state)
  if ('addresses' in kernel) {
    if (kernel.addresses === undefined) findings.push({ kind: 'missing device', name: device })
    else findings.push(...compareKeys('address', left.addresses ?? new Set<Ip>(), kernel.addresses, ownerAt))
  }
  if (kernel.servers !== undefined) {
    const ownerOf = (key: VirtualServerKey) => state?.virtualServers.get(key)?.owner
    findings.push(...compareKeys('virtual server', left.servers, kernel.servers, ownerOf))
    for (const [key, server] of left.servers) {
      const found = kernel.servers.get(key)
      if (found !== undefined && !sameServer(server, found)) {
        findings.push(finding('changed virtual server', key, ownerOf(key)))
      }
    }
  }
  if (kernel.sets !== undefined) findings.push(...compareSets(left, kernel.sets, state))
  return findings
}

function compareSets(
  left: KernelPicture,
  found: KernelPicture['sets'],
  state: IpvsState | undefined,
): readonly IpvsFinding[] {
  const findings: IpvsFinding[] = []
  for (const [name, { header, entries }] of left.sets) {
    const set = found.get(name)
    if (set === undefined) findings.push({ kind: 'missing set', name })
    else if (set.header?.type !== header?.type || set.header?.family !== header?.family) {
      findings.push({ kind: 'changed set', name })
    } else {
      const ownerOf = (entry: string) => entryOwner(entry, state)
      const named = compareKeys('entry', entries, set.entries, ownerOf)
      findings.push(...named.map((each) => ({ ...each, name: `${name} ${each.name}` })))
    }
  }
  return findings
}

/** By the number of entries alone. */
export function compareSizes(left: KernelPicture, sizes: ReadonlyMap<SetName, number>): readonly IpvsFinding[] {
  return [...left.sets].flatMap(([name, { entries }]): readonly IpvsFinding[] => {
    const size = sizes.get(name)
    if (size === entries.size) return []
    return [{ kind: size === undefined ? 'missing set' : 'changed set', name }]
  })
}

interface Keys<K> {
  readonly has: (key: K) => boolean
  readonly keys: () => Iterable<K>
}

function compareKeys<K extends string>(
  what: 'virtual server' | 'entry' | 'address',
  left: Keys<K>,
  found: Keys<K>,
  ownerOf: (key: K) => string | undefined,
): readonly IpvsFinding[] {
  const findings: IpvsFinding[] = []
  for (const key of left.keys()) if (!found.has(key)) findings.push(finding(`missing ${what}`, key, ownerOf(key)))
  for (const key of found.keys()) if (!left.has(key)) findings.push(finding(`stale ${what}`, key, ownerOf(key)))
  return findings
}

function finding(kind: IpvsFindingKind, name: string, owner: string | undefined): IpvsFinding {
  return { kind, name, ...(owner !== undefined && { owner }) }
}

/** Of `10.0.0.1,tcp:80,...`: whose virtual server it is. */
function entryOwner(entry: string, state: IpvsState | undefined): string | undefined {
  const [, address, protocol, port] = /^([^,]+),(tcp|udp|sctp):(\d+)/.exec(entry) ?? []
  if (address === undefined || protocol === undefined) return undefined
  return state?.virtualServers.get(`${protocol} ${formatEndpoint(address as Ip, Number(port))}`)?.owner
}

/** Looks for owners only when it is asked. */
function createAddressOwners(state: IpvsState | undefined): (ip: Ip) => string | undefined {
  let owners: Map<Ip, string> | undefined
  return (ip) => {
    owners ??= new Map(
      [...(state?.virtualServers.values() ?? [])].map(({ owner, virtualServer }) => [virtualServer.address, owner]),
    )
    return owners.get(ip)
  }
}
