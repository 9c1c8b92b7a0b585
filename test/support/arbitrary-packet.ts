// Generates packets for the laboratory, most of them to Services of arbitrary-cluster.ts, and compares what the kernel did
// with them with what the simulator says.
import * as fc from 'fast-check'
import { FAMILIES, type Family, formatEndpoint, type Ip } from '../../src/model/address.ts'
import type { ServicePort } from '../../src/model/service-port.ts'
import { formatPacket, type PacketProtocol } from '../../src/packet/packet.ts'
import type { Outcome, Trace } from '../../src/packet/trace.ts'
import type { Observed, SentPacket } from './packet-laboratory.ts'

export const PLACES = {
  ipv4: {
    outside: ['203.0.113.7', '198.51.100.7', '192.168.1.99', '192.0.2.1', '10.0.1.20'],
    pod: ['10.0.0.1', '10.0.0.2', '10.0.0.10', '10.0.1.1', '10.0.0.77'],
    own: ['192.168.1.63', '192.168.1.64', '10.0.0.254'],
    loopback: '127.0.0.1',
    vips: ['172.30.0.41', '172.30.0.42', '172.30.0.43', '192.0.2.1', '192.0.2.2', '192.0.2.3'],
    elsewhere: ['10.0.0.1', '10.0.1.1', '203.0.113.9'],
  },
  ipv6: {
    outside: ['2001:db8:1::7', '2001:db8:2::7', 'fd00:192::99', '2001:db8::1', 'fd00:10:1::a'],
    pod: ['fd00:10::1', 'fd00:10::2', 'fd00:10::10', 'fd00:10:1::1', 'fd00:10::77'],
    own: ['fd00:192::63', 'fd00:10::fe'],
    loopback: '::1',
    vips: ['fd00:30::41', 'fd00:30::42', 'fd00:30::43', '2001:db8::1', '2001:db8::2'],
    elsewhere: ['fd00:10::1', 'fd00:10:1::1', '2001:db8:2::9'],
  },
} as const

/** An address, port and protocol that a Service serves. */
export interface Target {
  readonly ip: string
  readonly port: number
  readonly protocol: PacketProtocol
}

/** Most go to Services, some with another protocol or port. */
export function arbitraryPacket(targets: Readonly<Record<Family, readonly Target[]>>): fc.Arbitrary<SentPacket> {
  return fc.tuple(arbitraryAnyPacket(), fc.nat(), fc.nat(9)).map(([sent, choice, kind]) => {
    const { family, source } = sent.packet
    const target = targets[family][choice % Math.max(targets[family].length, 1)]
    if (target === undefined || kind < 3) return sent
    const { ip, port, protocol } = target
    const own = sent.from === 'node' ? (ownSources(family, ip)[0] as Ip) : source
    return { ...sent, packet: { ...sent.packet, source: own, destination: ip as Ip, destinationPort: port, protocol } }
  })
}

export function targetsOf(family: Family, servicePorts: readonly ServicePort[]): readonly Target[] {
  const own = PLACES[family].own
  return servicePorts.flatMap(({ clusterIP, externalIPs, loadBalancerIPs, port, nodePort, protocol }) => [
    ...[clusterIP, ...externalIPs, ...loadBalancerIPs].map((ip) => ({ ip, port, protocol })),
    ...(nodePort === undefined ? [] : [{ ip: own[0], port: nodePort, protocol }]),
  ])
}

function arbitraryAnyPacket(): fc.Arbitrary<SentPacket> {
  return fc.constantFrom(...FAMILIES).chain((family) => {
    const places = PLACES[family]
    const from = fc.constantFrom('outside' as const, 'pod' as const, 'node' as const)
    const destination = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom<string>(...places.vips) },
      { weight: 4, arbitrary: fc.constantFrom<string>(...places.own) },
      { weight: 1, arbitrary: fc.constantFrom<string>(places.loopback) },
      { weight: 1, arbitrary: fc.constantFrom<string>(...places.elsewhere) },
    )
    const protocol = fc.constantFrom<PacketProtocol>('tcp', 'tcp', 'udp', 'udp', 'sctp', 'icmp')
    const port = fc.constantFrom(80, 80, 53, 30_000, 30_001, 8080, 32_000)
    return fc
      .tuple(from, destination, protocol, port, fc.nat(4))
      .map(([place, to, name, number, choice]): SentPacket => {
        const sources: readonly string[] = place === 'node' ? ownSources(family, to) : places[place]
        const source = sources[choice % sources.length] ?? ''
        const ends = {
          source: source as Ip,
          destination: to as Ip,
          sourcePort: 0,
          destinationPort: name === 'icmp' ? 0 : number,
        }
        return { from: place, packet: { family, protocol: name, ...ends } }
      })
  })
}

/** What a process of the node may have for a source: loopback only towards the node itself. */
function ownSources(family: Family, destination: string): readonly string[] {
  const { own, loopback } = PLACES[family]
  return destination === loopback ? [loopback] : [...own]
}

export interface TracedPacket extends SentPacket {
  readonly trace: Trace
}

/** Whether the kernel did one of the things that may happen. */
export function isSame(outcome: Outcome, seen: Observed): boolean {
  if (outcome.kind === 'dnat' || outcome.kind === 'no match') {
    if (seen.kind !== 'passed') return false
    const { destination, destinationPort, sourceSeen } = outcome
    return (
      seen.destination === destination && seen.destinationPort === destinationPort && seen.sourceSeen === sourceSeen
    )
  }
  return outcome.kind === seen.kind
}

export function describeDifference(cluster: number, { packet, from, trace }: TracedPacket, seen: Observed): string {
  const expected = trace.outcomes.map(({ outcome }) => {
    if (outcome.kind !== 'dnat' && outcome.kind !== 'no match') return `${outcome.kind} (${outcome.because})`
    return `${outcome.kind} ${formatEndpoint(outcome.destination, outcome.destinationPort)} from ${outcome.sourceSeen}`
  })
  const found =
    seen.kind === 'passed'
      ? `${formatEndpoint(seen.destination as Ip, seen.destinationPort)} from ${seen.sourceSeen}`
      : seen.kind
  return `cluster ${cluster}, from ${from}: ${formatPacket(packet)}: kernel ${found}; simulator ${expected.join(' | ')}`
}
