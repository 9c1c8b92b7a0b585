// Whose the virtual servers of a source are: nothing in the kernel tells, so the objects do, where they are known.

import { parseIpvsadmSave } from '../ipvs/parse.ts'
import type { VirtualServerOwner } from '../ipvs/simulate.ts'
import { type ServerAddress, serverAddress, setEntry } from '../ipvs/simulate-served.ts'
import { type VirtualServerKey, virtualServerKey } from '../ipvs/virtual-server.ts'
import type { Family, Ip } from '../model/address.ts'
import type { ServiceEntry, Snapshot } from '../model/snapshot.ts'
import type { RuleSource } from './rule-source.ts'

export type VirtualServerOwners = ReadonlyMap<VirtualServerKey, VirtualServerOwner>

/** What was compiled knows them; beside a dump the Services of the objects do. */
export function ownersOf({ states, snapshot, ipvs = '' }: RuleSource, family: Family): VirtualServerOwners {
  const { addresses, nodePorts, elsewhere } = namesOf(snapshot, family)
  const named = ({ protocol, ip, port }: ServerAddress) =>
    addresses.get(setEntry(protocol, ip, port)) ?? nodePorts.get(`${protocol}:${port}`)
  const state = states?.get(family)
  const owners: [ServerAddress, string | undefined][] =
    state === undefined
      ? parseIpvsadmSave(ipvs).services.flatMap((service) => {
          const at = serverAddress(service)
          return at === undefined ? [] : [[at, named(at)]]
        })
      : state.virtualServers.map(({ owner, virtualServer }) => {
          const { protocol, address: ip, port } = virtualServer
          // `shop/web:http tcp`
          return [{ key: virtualServerKey(virtualServer), protocol, ip, port }, owner.slice(0, owner.lastIndexOf(' '))]
        })
  return new Map(
    owners.flatMap(([{ key, protocol, ip, port }, service]): readonly [VirtualServerKey, VirtualServerOwner][] => {
      if (service === undefined) return []
      const isLocalOnly = elsewhere.has(setEntry(protocol, ip, port))
      return [[key, { service, ...(isLocalOnly && { hasEndpointsElsewhere: true as const }) }]]
    }),
  )
}

interface PortNames {
  /** By `10.96.1.10,tcp:80`. */
  readonly addresses: ReadonlyMap<string, string>
  /** By `tcp:30080`. */
  readonly nodePorts: ReadonlyMap<string, string>
  /** Cluster IPs as in `addresses`: internalTrafficPolicy is Local, and there are endpoints somewhere. */
  readonly elsewhere: ReadonlySet<string>
}

/** Of several Services with the same address and port the first by name has it, as everywhere in sluice. */
function namesOf(snapshot: Snapshot | undefined, family: Family): PortNames {
  const addresses = new Map<string, string>()
  const nodePorts = new Map<string, string>()
  const elsewhere = new Set<string>()
  for (const entry of snapshot?.services ?? []) {
    const { key, service } = entry
    const { clusterIPs, externalIPs, loadBalancerIPs, ports } = service
    for (const { name, protocol, port, nodePort } of ports) {
      const owner = name === '' ? key : `${key}:${name}`
      for (const ip of [...Object.values(clusterIPs), ...externalIPs, ...loadBalancerIPs]) {
        const at = setEntry(protocol, ip, port)
        if (!addresses.has(at)) addresses.set(at, owner)
      }
      const at = `${protocol}:${nodePort ?? ''}`
      if (nodePort !== undefined && !nodePorts.has(at)) nodePorts.set(at, owner)
      const ip: Ip | undefined = clusterIPs[family]
      if (ip !== undefined && service.internalTrafficPolicy === 'Local' && hasEndpoints(entry, family, name))
        elsewhere.add(setEntry(protocol, ip, port))
    }
  }
  return { addresses, nodePorts, elsewhere }
}

function hasEndpoints({ slices }: ServiceEntry, family: Family, portName: string): boolean {
  return slices.some(
    (slice) =>
      slice.family === family &&
      slice.ports.some(({ name }) => name === portName) &&
      slice.endpoints.some(({ ready, serving }) => ready || serving),
  )
}
