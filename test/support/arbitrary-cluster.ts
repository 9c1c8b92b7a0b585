// Generates clusters: Services of every type and policy with endpoints in every condition, from few names, addresses and
// ports, so that they repeat and collide. What is generated is the model itself; raw-snapshot.ts writes it as the API does.
import * as fc from 'fast-check'
import type { Family, Ip } from '../../src/model/address.ts'
import { FAMILIES, parseCidr, parseIp } from '../../src/model/address.ts'
import { objectKey, type Protocol } from '../../src/model/object-name.ts'
import type {
  EndpointSlice,
  Service,
  ServiceEntry,
  ServicePortSpec,
  SliceEndpoint,
  SlicePort,
  Snapshot,
} from '../../src/model/snapshot.ts'

export const NODES = ['node1', 'node2'] as const
export const ZONES = ['za', 'zb'] as const

/** Their order as text is neither that of numbers nor that of "namespace/name:port". */
const SERVICES = [
  ['ns1', 'a'],
  ['ns1', 'a-b'],
  ['ns1', 'a1'],
  ['ns2', 'a'],
  ['ns-2', 'bulk'],
] as const

const PORTS: readonly (readonly [name: string, protocol: Protocol])[] = [
  ['', 'tcp'],
  ['p80', 'tcp'],
  ['p80', 'udp'],
  ['p80', 'sctp'],
  ['dns', 'udp'],
]

const CLUSTER_IPS: Readonly<Record<Family, readonly Ip[]>> = {
  ipv4: addresses('172.30.0.41', '172.30.0.42', '172.30.0.43'),
  ipv6: addresses('fd00:30::41', 'fd00:30::42', 'fd00:30::43'),
}
const OUTSIDE_IPS = addresses('192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::1', '2001:db8::2')
/** `10.0.0.10:80` stands before `10.0.0.1:80`. */
const POD_IPS: Readonly<Record<Family, readonly Ip[]>> = {
  ipv4: addresses('10.0.0.1', '10.0.0.2', '10.0.0.10', '10.0.1.1', '10.0.1.20'),
  ipv6: addresses('fd00:10::1', 'fd00:10::2', 'fd00:10::10', 'fd00:10:1::1', 'fd00:10:1::a'),
}
/** One holds the IPv4 node IP of arbitrary-node.ts, one the IPv6 node IP, and /0 opens everything. */
const RANGES = [
  '203.0.113.0/25',
  '198.51.100.0/24',
  '192.168.0.0/16',
  '2001:db8:1::/48',
  'fd00:192::/32',
  '0.0.0.0/0',
  '::/0',
].flatMap((text) => parseCidr(text) ?? [])

/** The part of a slice that does not say whose it is. */
export type SliceBody = Omit<EndpointSlice, 'namespace' | 'name' | 'service'>

export function arbitrarySnapshot(): fc.Arbitrary<Snapshot> {
  const entries = SERVICES.map(([namespace, name]) =>
    fc.option(arbitraryEntry(namespace, name), { nil: undefined, freq: 3 }),
  )
  return fc.tuple(...entries).map((chosen) => snapshotOf(chosen.filter((entry) => entry !== undefined)))
}

/** An entry of one of the few names. */
export function arbitraryAnyEntry(): fc.Arbitrary<ServiceEntry> {
  return fc.oneof(...SERVICES.map(([namespace, name]) => arbitraryEntry(namespace, name)))
}

/** Sorted, as assembleSnapshot does. */
export function snapshotOf(entries: readonly ServiceEntry[]): Snapshot {
  return { services: entries.toSorted((a, b) => (a.key < b.key ? -1 : 1)), nodes: new Map() }
}

export function entryOf(service: Service, bodies: readonly SliceBody[]): ServiceEntry {
  const { namespace, name } = service
  const key = objectKey(namespace, name)
  const slices = bodies.map((body, index) => ({ ...body, namespace, name: `${name}-${index}`, service: key }))
  return { key, service, slices }
}

export function arbitrarySlices(): fc.Arbitrary<readonly SliceBody[]> {
  return fc
    .tuple(...FAMILIES.map((family) => fc.array(arbitrarySlice(family), { maxLength: 2 })))
    .map((bodies) => bodies.flat())
}

/**
 * A Service whose endpoints are known but not ready, so that many cost little: `count` of them, and they count towards a
 * large cluster.
 */
export function bulkEntry(count: number): ServiceEntry {
  const service: Service = {
    namespace: 'ns-2',
    name: 'bulk',
    type: 'ClusterIP',
    clusterIPs: { ipv4: '172.30.9.9' as Ip, ipv6: 'fd00:30::99' as Ip },
    ports: [{ name: '', protocol: 'tcp', port: 80 }],
    externalIPs: [],
    listsExternalIPs: false,
    loadBalancerIPs: [],
    loadBalancerSourceRanges: [],
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
  }
  const slices = FAMILIES.map((family): SliceBody => {
    const endpoints = Array.from({ length: count }, (_, index): SliceEndpoint => {
      const ip = family === 'ipv4' ? `10.9.${index >> 8}.${index & 255}` : `fd00:9::${index.toString(16)}`
      return { ip: parseIp(ip) ?? (ip as Ip), ready: false, serving: false, terminating: false }
    })
    return { family, ports: [{ name: '', protocol: 'tcp', port: 80 }], endpoints }
  })
  return entryOf(service, slices)
}

/** Conditions in every combination, also those that make no sense. */
export function arbitraryEndpoint(family: Family): fc.Arbitrary<SliceEndpoint> {
  const conditions = fc.oneof(
    { weight: 2, arbitrary: fc.constant({ ready: true, serving: true, terminating: false }) },
    { weight: 3, arbitrary: exact({ ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() }) },
  )
  const place = fc.record(
    {
      nodeName: fc.constantFrom(...NODES),
      zoneHints: fc.subarray<string>([...ZONES, ''], { minLength: 1 }),
      nodeHints: fc.subarray<string>([...NODES], { minLength: 1 }),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  return fc.tuple(fc.constantFrom(...POD_IPS[family]), conditions, place).map(([ip, states, rest]) => {
    return { ip, ...states, ...rest }
  })
}

function arbitrarySlice(family: Family): fc.Arbitrary<SliceBody> {
  const most = fc.subarray([...PORTS], { minLength: 3 })
  const any = fc.array(fc.constantFrom(...PORTS), { maxLength: 4 })
  const numbers = fc.array(fc.constantFrom(8080, 53), { minLength: PORTS.length, maxLength: PORTS.length })
  const ports = fc
    .tuple(fc.oneof({ weight: 3, arbitrary: most }, { weight: 1, arbitrary: any }), numbers)
    .map(([names, chosen]) => {
      return names.map(([name, protocol], index): SlicePort => ({ name, protocol, port: chosen[index] ?? 8080 }))
    })
  const endpoints = fc.oneof(
    { weight: 4, arbitrary: fc.array(arbitraryEndpoint(family), { minLength: 2, maxLength: 5 }) },
    { weight: 1, arbitrary: fc.constant([]) },
  )
  return exact({ family: fc.constant(family), ports, endpoints })
}

function arbitraryEntry(namespace: string, name: string): fc.Arbitrary<ServiceEntry> {
  return fc.tuple(arbitraryService(namespace, name), arbitrarySlices()).map(([service, slices]) => {
    return entryOf(service, slices)
  })
}

function arbitraryService(namespace: string, name: string): fc.Arbitrary<Service> {
  const policy = fc.constantFrom('Cluster' as const, 'Local' as const)
  const fields = fc.record(
    {
      type: fc.constantFrom(
        'ClusterIP' as const,
        'NodePort' as const,
        'LoadBalancer' as const,
        'ExternalName' as const,
      ),
      clusterIPs: fc.record(
        { ipv4: fc.constantFrom(...CLUSTER_IPS.ipv4), ipv6: fc.constantFrom(...CLUSTER_IPS.ipv6) },
        { requiredKeys: [], noNullPrototype: true },
      ),
      ports: fc.array(arbitraryPort(), { minLength: 1, maxLength: 4 }),
      externalIPs: few(OUTSIDE_IPS),
      loadBalancerIPs: few(OUTSIDE_IPS),
      loadBalancerSourceRanges: few(RANGES),
      externalTrafficPolicy: policy,
      internalTrafficPolicy: policy,
    },
    { noNullPrototype: true },
  )
  const seconds = fc.constantFrom(undefined, 1, 10_800)
  const healthCheck = fc.constantFrom(undefined, 32_000, 30_000)
  return fc
    .tuple(fields, fc.boolean(), seconds, healthCheck)
    .map(([service, listsMore, affinitySeconds, healthCheckNodePort]) => ({
      namespace,
      name,
      ...service,
      listsExternalIPs: service.externalIPs.length > 0 || listsMore,
      ...(affinitySeconds !== undefined && { affinitySeconds }),
      ...(healthCheckNodePort !== undefined && { healthCheckNodePort }),
    }))
}

function arbitraryPort(): fc.Arbitrary<ServicePortSpec> {
  return fc
    .tuple(fc.constantFrom(...PORTS), fc.constantFrom(80, 53), fc.constantFrom(undefined, 30_000, 30_001))
    .map(([[name, protocol], port, nodePort]) => {
      return { name, protocol, port, ...(nodePort !== undefined && { nodePort }) }
    })
}

/** Often none, sometimes one twice. */
function few<T>(values: readonly T[]): fc.Arbitrary<readonly T[]> {
  return fc.oneof(fc.constant([]), fc.array(fc.constantFrom(...values), { maxLength: 3 }))
}

function exact<T>(fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true })
}

function addresses(...texts: readonly string[]): readonly Ip[] {
  return texts.flatMap((text) => parseIp(text) ?? [])
}
