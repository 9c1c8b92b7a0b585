// The simulator against this machine's kernel: random packets on random clusters.
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Family, Ip } from '../../src/index.ts'
import { compile } from '../../src/iptables/compile.ts'
import { link } from '../../src/iptables/link.ts'
import { printPayload } from '../../src/iptables/print-payload.ts'
import type { Program } from '../../src/iptables/program.ts'
import { createSimulator } from '../../src/iptables/simulate.ts'
import { leavesLocalnet } from '../../src/iptables/simulate-hooks.ts'
import { type Cidr, FAMILIES, formatEndpoint, prefixLength } from '../../src/model/address.ts'
import type { Origin } from '../../src/packet/origin.ts'
import { shareAsNumber } from '../../src/packet/share.ts'
import { arbitrarySnapshot } from '../support/arbitrary-cluster.ts'
import { arbitrarySetting, type Setting } from '../support/arbitrary-node.ts'
import {
  arbitraryPacket,
  describeDifference,
  isSame,
  type TracedPacket,
  targetsOf,
} from '../support/arbitrary-packet.ts'
import { endpointIps, plainNode, serviceEntry, snapshotOf } from '../support/many-services.ts'
import { missingInNamespace } from '../support/namespace.ts'
import {
  createPacketLaboratory,
  laboratoryNetwork,
  type PacketLaboratory,
  type SentPacket,
} from '../support/packet-laboratory.ts'

const SEED = Number(process.env['SLUICE_SEED'] ?? 20_261_121)
const CLUSTERS = 24
const PACKETS_PER_CLUSTER = 100
const FIRST_PORT = 10_000

const lacks = missingInNamespace('iptables-restore --version && conntrack --version && python3 --version')

describe.skipIf(lacks !== undefined)('the simulator and the kernel', () => {
  let lab: PacketLaboratory
  let other: PacketLaboratory
  beforeAll(async () => {
    lab = await createPacketLaboratory('cni0')
    other = await createPacketLaboratory('veth7')
  })
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]()
    await other?.[Symbol.asyncDispose]()
  })

  test('agree about random packets on random clusters', async () => {
    const clusters = fc.sample(fc.tuple(arbitrarySnapshot(), arbitrarySetting(), fc.boolean()), {
      seed: SEED,
      numRuns: CLUSTERS,
    })
    const wrong: string[] = []
    const kinds = new Map<string, number>()
    for (const [index, [snapshot, setting, first]] of clusters.entries()) {
      const place = first ? lab : other
      const programs = compileFor(snapshot, setting)
      const targets = {
        ipv4: targetsOf('ipv4', programs.ipv4.servicePorts),
        ipv6: targetsOf('ipv6', programs.ipv6.servicePorts),
      }
      const packets = fc.sample(arbitraryPacket(targets), { seed: SEED + index, numRuns: PACKETS_PER_CLUSTER })
      const questions = load(place, programs, packets.map(withPort))
      const observed = await place.send(questions)
      for (const question of questions) {
        const seen = observed.get(question.packet.sourcePort) ?? { kind: 'drop' }
        const allowed = question.trace.outcomes.some(({ outcome }) => isSame(outcome, seen))
        const kind = question.trace.outcomes[0]?.outcome.kind ?? 'nothing'
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
        if (!allowed) wrong.push(describeDifference(index, question, seen))
      }
    }
    process.stderr.write(`kernel agreement: ${JSON.stringify(Object.fromEntries(kinds))}, ${wrong.length} differ\n`)
    expect(wrong).toEqual([])
    // The packets must not all be of one kind, or the comparison says little.
    for (const kind of ['dnat', 'no match', 'drop', 'reject']) expect(kinds.get(kind) ?? 0).toBeGreaterThan(20)
    expect([...kinds.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2_000)
  }, 180_000)

  test('agree about the shares of 10,000 connections', async () => {
    const node = plainNode()
    const setting: Setting = {
      node,
      config: (await import('../../src/kube/config/proxy-config.ts')).defaultProxyConfig(),
    }
    const snapshot = snapshotOf([serviceEntry(0, endpointIps(0, 7))])
    const clusterIP = snapshot.services[0]?.service.clusterIPs.ipv4 ?? ('' as Ip)
    const ends = {
      family: 'ipv4',
      protocol: 'udp',
      source: '10.0.0.77' as Ip,
      destination: clusterIP,
      destinationPort: 80,
    } as const
    // The one port of the Service is TCP.
    const packets = Array.from({ length: 10_000 }, (_, index): SentPacket => {
      return { from: 'pod', packet: { ...ends, protocol: 'tcp', sourcePort: FIRST_PORT + index } }
    })
    const questions = load(lab, compileFor(snapshot, setting), packets)
    const observed = await lab.send(questions)
    const counts = new Map<string, number>()
    for (const seen of observed.values()) {
      const key = seen.kind === 'passed' ? formatEndpoint(seen.destination as Ip, seen.destinationPort) : seen.kind
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    const expected = new Map(
      questions[0]?.trace.outcomes.map(({ outcome, share }) => {
        return [
          outcome.kind === 'dnat' ? formatEndpoint(outcome.destination, outcome.destinationPort) : outcome.kind,
          shareAsNumber(share),
        ]
      }),
    )
    expect([...counts.keys()].toSorted()).toEqual([...expected.keys()].toSorted())
    const chiSquare = [...expected].reduce(
      (sum, [key, share]) => sum + ((counts.get(key) ?? 0) - 10_000 * share) ** 2 / (10_000 * share),
      0,
    )
    process.stderr.write(`shares of 10,000 connections to 7 endpoints: chi-square ${chiSquare.toFixed(2)}\n`)
    // 6 degrees of freedom: above 38 once in a million times.
    expect(chiSquare).toBeLessThan(38)
  }, 120_000)
})

function withPort(sent: SentPacket, index: number): SentPacket {
  return { ...sent, packet: { ...sent.packet, sourcePort: FIRST_PORT + index } }
}

type Programs = Readonly<Record<Family, Program>>

/** Without counters, which a namespace would have to make first. */
function compileFor(snapshot: Parameters<typeof compile>[0], { config, node }: Setting): Programs {
  const features = { ...node.host.features, nfacct: false }
  const plain = { ...node, podCIDRs: someOf(node.podCIDRs), host: { ...node.host, features } }
  const narrow = { ...config, clusterCIDRs: someOf(config.clusterCIDRs) }
  return { ipv4: compile(snapshot, narrow, plain, 'ipv4'), ipv6: compile(snapshot, narrow, plain, 'ipv6') }
}

/** Not being any address at all is a rule that iptables-nft refuses. */
function someOf(networks: readonly Cidr[]): readonly Cidr[] {
  return networks.filter((network) => prefixLength(network) > 0)
}

/** Gives the laboratory the cluster's rules, and asks the simulator. */
function load(place: PacketLaboratory, programs: Programs, packets: readonly SentPacket[]): readonly TracedPacket[] {
  const simulators = FAMILIES.map((family) => {
    place.applyRules(family, printPayload(programs[family]))
    const ruleset = link(programs[family])
    if (family === 'ipv4') place.setRouteLocalnet(leavesLocalnet(ruleset))
    return { family, simulate: createSimulator(ruleset), network: laboratoryNetwork(family, place.podInterface) }
  })
  return packets.flatMap((sent): readonly TracedPacket[] => {
    const simulator = simulators.find(({ family }) => family === sent.packet.family)
    if (simulator === undefined) return []
    const origin: Origin =
      sent.from === 'node'
        ? { kind: 'node', here: true }
        : { kind: sent.from, here: sent.from === 'pod', inInterface: sent.from === 'pod' ? place.podInterface : 'eth0' }
    return [{ ...sent, trace: simulator.simulate(sent.packet, origin, simulator.network) }]
  })
}
