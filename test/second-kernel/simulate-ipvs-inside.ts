// What simulate-ipvs.test.ts runs in the second kernel: random packets on random clusters in IPVS mode, to the kernel and to
// the simulator: simulate-ipvs-inside.ts CLUSTERS PACKETS SEED
import * as fc from 'fast-check'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { printNodeRestore } from '../../src/ipvs/print-node.ts'
import { showState } from '../../src/ipvs/shown-state.ts'
import { type Cidr, FAMILIES, type Ip, prefixLength } from '../../src/model/address.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import type { Origin } from '../../src/packet/origin.ts'
import { arbitrarySnapshot } from '../support/arbitrary-cluster.ts'
import { arbitrarySetting, type Setting } from '../support/arbitrary-node.ts'
import {
  arbitraryPacket,
  describeDifference,
  isSame,
  PLACES,
  type TracedPacket,
  targetsOf,
} from '../support/arbitrary-packet.ts'
import {
  createPacketLaboratory,
  laboratoryNetwork,
  type PacketLaboratory,
  type SentPacket,
} from '../support/packet-laboratory.ts'
import { type SimulatedIpvs, simulateIpvs } from '../support/simulate-ipvs.ts'
import type { Program } from '../traffic/agent.ts'
import { loadIpvs } from '../traffic/ipvs-node.ts'

const [clusters, packetsEach, seed] = process.argv.slice(2).map(Number)
/** The kernel's connections outlive a cluster, so no source port comes twice. */
const FIRST_PORT = 1_100
const SCHEDULERS = ['rr', 'rr', 'wrr', 'lc', 'wlc', 'sh', 'mh', 'dh', 'sed', 'nq', 'fo', 'ovf']

const vips = [...PLACES.ipv4.vips, ...PLACES.ipv6.vips]
await using lab = await createPacketLaboratory('cni0', vips)
const node = {
  name: 'node',
  exec: async (argv: readonly string[], input = '') => {
    const { status, stdout, stderr } = lab.run(argv, input)
    if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
    return { stdout, stderr }
  },
  runPrograms: async (programs: readonly Program[]) => {
    for (const { argv, stdin, says = '' } of programs) {
      const { status, stderr } = lab.run(argv, stdin)
      const said = stderr.trim()
      if (said !== says && (status !== 0 || said !== '')) throw new Error(`${argv.join(' ')}: ${said}`)
    }
  },
}
await node.exec([
  'sh',
  '-ec',
  'cd /proc/sys/net/ipv4/vs; echo 1 >conntrack; echo 1 >expire_nodest_conn; echo 1 >expire_quiescent_template',
])
const wrong: string[] = []
const kinds: Record<string, number> = {}
const cases = fc.sample(fc.tuple(arbitrarySnapshot(), arbitrarySetting(), fc.constantFrom(...SCHEDULERS)), {
  seed: seed ?? 0,
  numRuns: clusters ?? 1,
})
for (const [index, [snapshot, setting, scheduler]] of cases.entries()) {
  const { simulated, targets } = await load(lab, snapshot, setting, scheduler)
  const sample = fc.sample(fc.tuple(arbitraryPacket(targets), fc.boolean()), {
    seed: (seed ?? 0) + index,
    numRuns: packetsEach ?? 1,
  })
  const traced = sample.map(([sent, fromItself], at) =>
    traceOne(fromItself ? asItself(sent, simulated) : sent, FIRST_PORT + index * (packetsEach ?? 1) + at, simulated),
  )
  const observed = await lab.send(
    traced,
    FAMILIES.flatMap((family) => onDevice(simulated[family])),
  )
  for (const one of traced) {
    const seen = observed.get(one.packet.sourcePort) ?? { kind: 'drop' }
    const kind = one.trace.outcomes[0]?.outcome.kind ?? 'nothing'
    kinds[kind] = (kinds[kind] ?? 0) + 1
    if (!one.trace.outcomes.some(({ outcome }) => isSame(outcome, seen)))
      wrong.push(`${scheduler}: ${describeDifference(index, one, seen)}`)
  }
}
process.stdout.write(`${JSON.stringify({ kinds, wrong })}\n`)

type Simulated = Readonly<Record<'ipv4' | 'ipv6', SimulatedIpvs>>

/** Gives the node what the cluster comes to. */
async function load(place: PacketLaboratory, snapshot: Snapshot, { config, node: facts }: Setting, scheduler: string) {
  const plain = { ...facts, podCIDRs: someOf(facts.podCIDRs) }
  const chosen = { ...config, clusterCIDRs: someOf(config.clusterCIDRs), ipvs: { ...config.ipvs, scheduler } }
  const states = FAMILIES.map((family) => showState(compileIpvs(snapshot, chosen, plain, family)))
  await loadIpvs(node, printNodeRestore(states))
  const [ipv4, ipv6] = states.map((state) => ({
    simulated: simulateIpvs(state, laboratoryNetwork(state.family, place.podInterface)),
    targets: targetsOf(state.family, state.servicePorts),
  }))
  if (ipv4 === undefined || ipv6 === undefined) throw new Error('a family is missing')
  return {
    simulated: { ipv4: ipv4.simulated, ipv6: ipv6.simulated },
    targets: { ipv4: ipv4.targets, ipv6: ipv6.targets },
  }
}

/** A process of the node that asks for an address of kube-ipvs0 has that address too, unless it wants another. */
function asItself(sent: SentPacket, simulated: Simulated): SentPacket {
  const { family, destination } = sent.packet
  const isOn = onDevice(simulated[family]).includes(destination)
  return sent.from === 'node' && isOn ? { ...sent, packet: { ...sent.packet, source: destination } } : sent
}

/** The addresses of kube-ipvs0. */
function onDevice({ network }: SimulatedIpvs): readonly Ip[] {
  const device = network.interfaces.find(({ name }) => name === 'kube-ipvs0')
  return device?.addresses.map(({ ip }) => ip) ?? []
}

function traceOne(sent: SentPacket, sourcePort: number, simulated: Simulated): TracedPacket {
  const packet = { ...sent.packet, sourcePort }
  const { simulate, network } = simulated[packet.family]
  const origin: Origin =
    sent.from === 'node'
      ? { kind: 'node', here: true }
      : { kind: sent.from, here: sent.from === 'pod', inInterface: sent.from === 'pod' ? 'cni0' : 'eth0' }
  return { from: sent.from, packet, trace: simulate(packet, origin, network) }
}

/** Not being any address at all is a rule that iptables refuses. */
function someOf(networks: readonly Cidr[]): readonly Cidr[] {
  return networks.filter((network) => prefixLength(network) > 0)
}
