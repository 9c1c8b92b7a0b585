// What tracing costs: from the text of a dump to a simulator that has answered its first packet, and packets per second
// after that. The packets go to the cluster IPs of Services all over the dump. Then what diff, explain and verify cost.

import { parseParts } from '../../src/cli/rule-source-dump.ts'
import { splitDump } from '../../src/cli/rule-source-split.ts'
import { keepHeapSmall } from '../../src/host/heap.ts'
import { compile, link, printSave } from '../../src/index.ts'
import { createSimulator } from '../../src/iptables/simulate.ts'
import { defaultProxyConfig } from '../../src/kube/config/proxy-config.ts'
import type { Ip } from '../../src/model/address.ts'
import { networkOfNode } from '../../src/packet/network-of-node.ts'
import { originOf } from '../../src/packet/origin.ts'
import type { Packet } from '../../src/packet/packet.ts'
import { manyServices, plainNode } from '../../test/support/many-services.ts'
import { measureCommand, measureCommands } from './explain-commands.ts'
import { inOwnProcess, median, peakMemory, printTable, time, writeResults } from './measure.ts'

const SIZES = [1_000, 10_000]
const ENDPOINTS = 5
const RUNS = 3
const TRACES = 5_000

interface TraceFigures {
  readonly services: number
  readonly megabytes: number
  readonly readyMs: number
  /** Time of processors, which others on the machine do not lengthen. */
  readonly readyCpuMs: number
  readonly tracesPerSecond: number
  readonly tracesPerCpuSecond: number
  readonly peakMiB: number
}

keepHeapSmall()
const [what, ...words] = process.argv.slice(2)
if (what === 'size') console.log(JSON.stringify(measureTracing(Number(words[0]))))
else if (what === 'command') console.log(JSON.stringify(await measureCommand(words)))
else runAll()

function runAll(): void {
  const tracing = SIZES.map((size) => inOwnProcess('size', String(size)) as TraceFigures)
  printTable(
    `trace: iptables-save text -> ready after one packet, median of ${RUNS}; then ${TRACES.toLocaleString('en')} packets`,
    tracing.map((figures) => ({
      services: figures.services,
      MB: figures.megabytes,
      'ready ms': figures.readyMs,
      'of CPU': figures.readyCpuMs,
      'traces/s': Math.round(figures.tracesPerSecond),
      'per CPU s': Math.round(figures.tracesPerCpuSecond),
      'peak MiB': figures.peakMiB,
    })),
  )
  const commands = SIZES.flatMap(measureCommands)
  printTable(
    `commands: whole process on a cluster of N Services x ${ENDPOINTS} as JSON and the dump of its node, median of ${RUNS}`,
    commands.map((figures) => ({
      services: figures.services,
      command: figures.command,
      'wall ms': figures.wallMs,
      'CPU ms': figures.cpuMs,
      'peak MiB': figures.peakMiB,
    })),
  )
  writeResults('trace', { tracing, commands })
}

function measureTracing(services: number): TraceFigures {
  const node = plainNode()
  const config = defaultProxyConfig()
  const snapshot = manyServices(services, ENDPOINTS)
  const text = printSave(link(compile(snapshot, config, node, 'ipv4')))
  const network = networkOfNode({ node, config }, 'ipv4')
  const packets = snapshot.services.map(
    ({ service }, index): Packet => ({
      family: 'ipv4',
      protocol: 'tcp',
      source: '10.200.0.9' as Ip,
      sourcePort: 10_000 + (index % 50_000),
      destination: service.clusterIPs.ipv4 ?? ('' as Ip),
      destinationPort: 80,
    }),
  )
  let simulate: ReturnType<typeof createSimulator> | undefined
  const trace = (index: number) => {
    const packet = packets[(index * 7919) % packets.length]
    if (packet === undefined || simulate === undefined) throw new Error('there is nothing to trace')
    const { outcomes } = simulate(packet, originOf(network, packet.source), network)
    if (outcomes.length !== ENDPOINTS) throw new Error(`a packet came to ${outcomes.length} ends`)
  }
  const cpuBefore = process.cpuUsage()
  const ready = time(RUNS, () => {
    const ruleset = parseParts(splitDump(text, 'iptables-save'), 'dump').families.get('ipv4')
    if (ruleset === undefined) throw new Error('the dump has no rules')
    simulate = createSimulator(ruleset)
    trace(0)
  })
  const readyCpuMs = cpuMs(cpuBefore) / RUNS
  const cpuReady = process.cpuUsage()
  const [elapsed = Number.NaN] = time(1, () => {
    for (let index = 1; index <= TRACES; index += 1) trace(index)
  })
  return {
    services,
    megabytes: text.length / 1e6,
    readyMs: median(ready),
    readyCpuMs,
    tracesPerSecond: (TRACES / elapsed) * 1000,
    tracesPerCpuSecond: (TRACES / cpuMs(cpuReady)) * 1000,
    peakMiB: peakMemory(),
  }
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}
