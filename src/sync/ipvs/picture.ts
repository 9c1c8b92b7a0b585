// What is known of the kernel in IPVS mode: the sets of ours, the addresses of kube-ipvs0 and the virtual servers of ours,
// and which virtual servers those are.

import type { PresentSet } from '../../ipset/diff.ts'
import type { SetName } from '../../ipset/ip-set.ts'
import type { SavedSet } from '../../ipset/parse.ts'
import { readVirtualServer, type SavedService } from '../../ipvs/parse.ts'
import { virtualServerOptions } from '../../ipvs/print.ts'
import type { IpvsState } from '../../ipvs/program.ts'
import { type BaseSetName, SET_NAMES, setName } from '../../ipvs/sets.ts'
import type { IpvsSettings } from '../../ipvs/settings.ts'
import type { VirtualServer, VirtualServerKey } from '../../ipvs/virtual-server.ts'
import {
  type Cidr,
  cidrContains,
  type Family,
  familyOfIp,
  formatEndpoint,
  type Ip,
  isLoopback,
} from '../../model/address.ts'

export interface KernelPicture {
  readonly sets: Map<SetName, OpenSet>
  /** Addresses of kube-ipvs0 of this family; undefined without the device. */
  addresses: Set<Ip> | undefined
  readonly servers: Map<VirtualServerKey, VirtualServer>
  /** A set under the temporary name is left over. */
  readonly leftover: boolean
}

export interface OpenSet extends PresentSet {
  readonly entries: Set<string>
}

/** Whether a virtual server of ours takes new connections. */
export function isServing({ servers }: Pick<KernelPicture, 'servers'>): boolean {
  return [...servers.values()].some(({ realServers }) => realServers.some(({ weight }) => weight > 0))
}

/** The name under which sets are made anew; a set of this name is sluice's to destroy. */
export function temporarySet(family: Family): SetName {
  return family === 'ipv4' ? 'KUBE-SLUICE-NEW' : 'KUBE-6-SLUICE-NEW'
}

/** The sets of ours among those of `ipset save`. */
export function ownSets(saved: ReadonlyMap<SetName, SavedSet>, family: Family): Map<SetName, OpenSet> {
  const sets = new Map<SetName, OpenSet>()
  for (const base of SET_NAMES) {
    const name = setName(base, family)
    const set = saved.get(name)
    if (set === undefined) continue
    const { header, definition, entries } = set
    sets.set(name, header === undefined ? { definition, entries: new Set() } : { header, entries: new Set(entries) })
  }
  return sets
}

/** Addresses that Services may have on the device: not loopback, and no link-local ones, which the kernel gives itself. */
export function ownAddresses(addresses: readonly Ip[], family: Family): Set<Ip> {
  const own = addresses.filter((ip) => familyOfIp(ip) === family && !isLoopback(ip))
  return new Set(own.filter((ip) => !cidrContains(LINK_LOCAL, ip)))
}

const LINK_LOCAL = 'fe80::/10' as Cidr

export interface Ownership {
  readonly settings: Pick<IpvsSettings, 'family' | 'nodeAddresses' | 'excludeCIDRs'>
  readonly sets: ReadonlyMap<SetName, PresentSet>
  readonly addresses: ReadonlySet<Ip> | undefined
  /** Whether it is desired, or was programmed by this process. */
  readonly known: (key: VirtualServerKey) => boolean
}

/**
 * The virtual servers of ours. In the kernel nobody signs them, so they are recognised by what belongs to them: their
 * address is on kube-ipvs0, or they are in a set of ours, which always stays longer than they do.
 */
export function ownServers(
  services: readonly SavedService[],
  ownership: Ownership,
): Map<VirtualServerKey, VirtualServer> {
  const servers = new Map<VirtualServerKey, VirtualServer>()
  for (const service of services) {
    if (service.key === undefined) continue
    const server = readPresent(service)
    if (server !== undefined && isOurs(service.key, server, ownership)) servers.set(service.key, server)
  }
  return servers
}

const ADDRESS_SETS: readonly BaseSetName[] = [
  'KUBE-CLUSTER-IP',
  'KUBE-EXTERNAL-IP',
  'KUBE-EXTERNAL-IP-LOCAL',
  'KUBE-LOAD-BALANCER',
]

function isOurs(key: VirtualServerKey, server: VirtualServer, ownership: Ownership): boolean {
  const { settings, sets, addresses, known } = ownership
  const { address, port, protocol } = server
  if (familyOfIp(address) !== settings.family) return false
  if (known(key)) return true
  if (isExcluded(address, settings)) return false
  const has = (base: BaseSetName, entry: string) =>
    sets.get(setName(base, settings.family))?.entries.has(entry) === true
  const entry = `${address},${protocol}:${port}`
  if (addresses?.has(address) === true || ADDRESS_SETS.some((base) => has(base, entry))) return true
  if (!settings.nodeAddresses.includes(address)) return false
  if (protocol === 'sctp') return has('KUBE-NODE-PORT-SCTP-HASH', entry)
  return has(protocol === 'tcp' ? 'KUBE-NODE-PORT-TCP' : 'KUBE-NODE-PORT-UDP', String(port))
}

/** Whether the configuration says that virtual servers of this address are others'. */
export function isExcluded(address: Ip, { excludeCIDRs }: Pick<IpvsSettings, 'excludeCIDRs'>): boolean {
  return excludeCIDRs.some((cidr) => cidrContains(cidr, address))
}

/** One that has something that sluice never makes differs from whatever is desired. */
function readPresent(service: SavedService): VirtualServer | undefined {
  const known = readVirtualServer(service)
  if (known !== undefined) return known
  const head =
    readVirtualServer({ ...service, realServers: [] }) ??
    readVirtualServer({ ...service, options: ODD, realServers: [] })
  if (head === undefined) return undefined
  const realServers = service.realServers.flatMap((real) => {
    const [plain] = readVirtualServer({ ...service, options: ODD, realServers: [real] })?.realServers ?? []
    if (plain !== undefined) return [plain]
    const [odd] =
      readVirtualServer({ ...service, options: ODD, realServers: [{ ...real, options: '-m -w 0' }] })?.realServers ?? []
    return odd === undefined ? [] : [{ ...odd, weight: ODD_WEIGHT }]
  })
  return { ...head, realServers }
}

/** Not the name of a scheduler. */
const ODD = '-s other'
/** Not a weight. */
const ODD_WEIGHT = -1

/** A kernel that has exactly this. */
export function pictureOf(state: IpvsState): KernelPicture {
  const sets = [...state.sets].map(([name, { header, entries }]): [SetName, OpenSet] => [
    name,
    { header, entries: new Set(entries.keys()) },
  ])
  const servers = [...state.virtualServers].map(([key, { virtualServer }]): [VirtualServerKey, VirtualServer] => [
    key,
    virtualServer,
  ])
  return { sets: new Map(sets), addresses: new Set(state.addresses), servers: new Map(servers), leftover: false }
}

/** Whether two are the same to the kernel; terminating real servers count. */
export function sameServer(a: VirtualServer, b: VirtualServer): boolean {
  if (a === b) return true
  if (virtualServerOptions(a) !== virtualServerOptions(b) || a.realServers.length !== b.realServers.length) return false
  const weights = new Map(b.realServers.map((real) => [formatEndpoint(real.address, real.port), real.weight]))
  return a.realServers.every((real) => weights.get(formatEndpoint(real.address, real.port)) === real.weight)
}
