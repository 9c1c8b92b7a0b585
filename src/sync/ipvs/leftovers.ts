// What IPVS mode, ours or kube-proxy's, left in the kernel, both families, and how it goes away: at once, or, when this
// node changes to another mode, after the connections that still pass through it have ended. Deleting a virtual server
// would cut them.
import type { SetName } from '../../ipset/ip-set.ts'
import type { SavedSet } from '../../ipset/parse.ts'
import type { ConnectionCounts } from '../../ipvs/connections.ts'
import type { SavedService } from '../../ipvs/parse.ts'
import { deleteServerLine, editRealServerLine } from '../../ipvs/print.ts'
import { SET_NAMES, setName } from '../../ipvs/sets.ts'
import type { VirtualServer, VirtualServerKey } from '../../ipvs/virtual-server.ts'
import { type Cidr, FAMILIES, familyOfCidr, familyOfIp, type Ip } from '../../model/address.ts'
import { ownAddresses, ownServers, ownSets, temporarySet } from './picture.ts'

export interface IpvsKernel {
  readonly services: readonly SavedService[]
  readonly sets: ReadonlyMap<SetName, SavedSet>
  /** Of kube-ipvs0; undefined without the device. */
  readonly deviceAddresses: readonly Ip[] | undefined
  /** Of all other interfaces. */
  readonly nodeAddresses: readonly Ip[]
}

export interface IpvsLeftovers {
  readonly servers: ReadonlyMap<VirtualServerKey, VirtualServer>
  readonly sets: readonly SetName[]
  /** Whether the device is there. */
  readonly device: boolean
}

/** Virtual servers that the configuration excludes are others'. */
export function findLeftovers(kernel: IpvsKernel, excludeCIDRs: readonly Cidr[]): IpvsLeftovers {
  const { services, sets, deviceAddresses } = kernel
  const servers = new Map<VirtualServerKey, VirtualServer>()
  for (const family of FAMILIES) {
    const found = ownServers(services, {
      settings: {
        family,
        nodeAddresses: kernel.nodeAddresses.filter((ip) => familyOfIp(ip) === family),
        excludeCIDRs: excludeCIDRs.filter((cidr) => familyOfCidr(cidr) === family),
      },
      sets: ownSets(sets, family),
      addresses: deviceAddresses && ownAddresses(deviceAddresses, family),
      known: () => false,
    })
    for (const [key, server] of found) servers.set(key, server)
  }
  const ours = FAMILIES.flatMap((family) => [...SET_NAMES.map((name) => setName(name, family)), temporarySet(family)])
  return { servers, sets: ours.filter((name) => sets.has(name)), device: deviceAddresses !== undefined }
}

/** For `ipvsadm -R`: no new connection goes to any of them, and those that are open go on. */
export function drainLines({ servers }: IpvsLeftovers): readonly string[] {
  return [...servers.values()].flatMap((server) =>
    server.realServers
      .filter(({ weight }) => weight !== 0)
      .map((real) => editRealServerLine(server, { ...real, weight: 0 })),
  )
}

/**
 * Virtual servers without any connection, and all of UDP: a client that keeps its socket would never end, and would be led
 * to endpoints that nobody keeps right any more. Its next datagrams go through the new mode.
 */
export function drainedServers({ servers }: IpvsLeftovers, connections: ConnectionCounts): readonly VirtualServer[] {
  return [...servers]
    .filter(
      ([key, { protocol }]) =>
        protocol === 'udp' || [...(connections.get(key)?.values() ?? [])].every((count) => count === 0),
    )
    .map(([, server]) => server)
}

/** For `ipvsadm -R`; connections through them are cut. */
export function removeServerLines(servers: Iterable<VirtualServer>): readonly string[] {
  return [...servers].map(deleteServerLine)
}

/** Addresses of the device on which no virtual server is left. */
export function freeAddresses(
  deviceAddresses: readonly Ip[],
  servers: Iterable<Pick<VirtualServer, 'address'>>,
): readonly Ip[] {
  const used = new Set([...servers].map(({ address }) => address))
  return deviceAddresses.filter((ip) => !used.has(ip))
}
