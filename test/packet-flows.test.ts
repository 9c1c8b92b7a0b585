// flows.txt beside every own scenario, written by hand, held by the simulator.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeInterfaces } from '../src/host/host-interfaces.ts'
import {
  assembleSnapshot,
  compile,
  decodeHost,
  decodeProxyConfig,
  describeNode,
  link,
  parseDocuments,
} from '../src/index.ts'
import { createSimulator, type Simulator } from '../src/iptables/simulate.ts'
import { compileIpvs } from '../src/ipvs/compile.ts'
import { showState } from '../src/ipvs/shown-state.ts'
import { FAMILIES, type Family } from '../src/model/address.ts'
import type { ProxyMode } from '../src/model/config.ts'
import { compareFlow, parseFlows } from '../src/packet/flows.ts'
import type { NodeNetwork } from '../src/packet/network.ts'
import { networkOfNode } from '../src/packet/network-of-node.ts'
import { originOf } from '../src/packet/origin.ts'
import { formatPacket } from '../src/packet/packet.ts'
import { GOLDEN_ROOT } from './support/golden-case.ts'
import { simulateIpvs } from './support/simulate-ipvs.ts'

const MODES: readonly ProxyMode[] = ['iptables', 'ipvs']

interface Scenario {
  readonly name: string
  readonly folder: string
  /** `` or `.2` */
  readonly step: string
}

const own = path.join(GOLDEN_ROOT, 'own')
const scenarios = readdirSync(own)
  .toSorted()
  .flatMap((name): readonly Scenario[] => {
    const folder = path.join(own, name)
    const clusters = readdirSync(folder).filter((file) => /^cluster(?:\.\d+)?\.yaml$/.test(file))
    return clusters.map((file) => ({ name, folder, step: file.slice('cluster'.length, -'.yaml'.length) }))
  })

test('there are scenarios, and each has its flows', () => {
  expect(scenarios.length).toBeGreaterThanOrEqual(30)
  const without = scenarios.filter(({ folder, step }) => !existsSync(path.join(folder, `flows${step}.txt`)))
  expect(without.map(({ name, step }) => name + step)).toEqual([])
})

describe.each(MODES)('in mode %s', (mode) => {
  test.each(scenarios)('$name$step: packets flow as written', ({ folder, step }) => {
    const { flows, issues } = parseFlows(readFileSync(path.join(folder, `flows${step}.txt`), 'utf8'), mode)
    expect(issues).toEqual([])
    expect(flows.length).toBeGreaterThan(0)
    const simulators = prepare(folder, step, mode)
    const wrong = flows.flatMap(({ line, packet, expected }) => {
      const { simulate, network } = simulators[packet.family]
      const problem = compareFlow(expected, simulate(packet, originOf(network, packet.source), network).outcomes)
      return problem === undefined ? [] : [`line ${line}: ${formatPacket(packet)}: ${problem}`]
    })
    expect(wrong).toEqual([])
  })
})

interface Prepared {
  readonly simulate: Simulator
  readonly network: NodeNetwork
}

function prepare(folder: string, step: string, mode: ProxyMode): Readonly<Record<Family, Prepared>> {
  const read = (file: string) => readFileSync(path.join(folder, file), 'utf8')
  const { snapshot } = assembleSnapshot(parseDocuments(read(`cluster${step}.yaml`), 'cluster.yaml').objects)
  const { config } = decodeProxyConfig(read(`${mode}/config.yaml`), 'config.yaml')
  const { host } = decodeHost(read('host.json'), 'host.json')
  if (config === undefined || host === undefined) throw new Error(`${folder}: configuration or host can't be read`)
  expect(config.mode).toBe(mode)
  const { facts: node } = describeNode('node1', snapshot.nodes.get('node1'), config, host)
  const interfaces = decodeInterfaces(read('host.json'))
  const [ipv4, ipv6] = FAMILIES.map((family): Prepared => {
    const network = networkOfNode({ node, config, snapshot, interfaces }, family)
    if (mode === 'iptables')
      return { simulate: createSimulator(link(compile(snapshot, config, node, family))), network }
    return simulateIpvs(showState(compileIpvs(snapshot, config, node, family)), network)
  })
  if (ipv4 === undefined || ipv6 === undefined) throw new Error('a family is missing')
  return { ipv4, ipv6 }
}
