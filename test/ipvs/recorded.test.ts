// What kube-proxy 1.36.2 put into a kernel that has IPVS: rules, sets, virtual servers and addresses, byte for byte.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  assembleSnapshot,
  canonicalise,
  decodeHost,
  decodeProxyConfig,
  describeNode,
  type Family,
  link,
  parseDocuments,
  printSave,
} from '../../src/index.ts'
import { printIpsetSave } from '../../src/ipset/print.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { linkIpvs } from '../../src/ipvs/link.ts'
import { printIpvsadmSave } from '../../src/ipvs/print.ts'
import type { IpvsState } from '../../src/ipvs/program.ts'
import { FAMILIES, hostCidr } from '../../src/model/address.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'

const RULES: Readonly<Record<Family, string>> = { ipv4: 'iptables-save', ipv6: 'ip6tables-save' }
const recorded = readdirSync(path.join(GOLDEN_ROOT, 'recorded'))
  .map((name) => `recorded/${name}`)
  .filter((name) => existsSync(path.join(GOLDEN_ROOT, name, 'ipvs')))

test('all 118 recorded clusters are here', () => {
  expect(recorded).toHaveLength(118)
})

describe.each(recorded)('%s', (name) => {
  const states = readStates(name)
  const expected = (file: string) => readFileSync(path.join(GOLDEN_ROOT, name, 'ipvs', file), 'utf8')

  test.each(states)('the $family rules are those that kube-proxy made', ({ family, rules }) => {
    expect(printSave(canonicalise(link(rules)))).toBe(expected(RULES[family]))
  })

  test('so are the virtual servers', () => {
    const servers = states.flatMap((state) => [...state.virtualServers.values()].map((owned) => owned.virtualServer))
    expect(printIpvsadmSave(servers)).toBe(expected('ipvsadm-save'))
  })

  test('so are the sets', () => {
    const sets = states.flatMap((state) => [...state.sets.values()])
    const plain = sets.map(({ header, entries }) => ({ header, entries: new Set(entries.keys()) }))
    expect(printIpsetSave(plain)).toBe(expected('ipset-save'))
  })

  test('so are the addresses', () => {
    const addresses = states.flatMap((state) => [...state.addresses].map((ip) => `${hostCidr(ip)}\n`))
    expect(addresses.toSorted().join('')).toBe(expected('kube-ipvs0-addresses'))
  })
})

function readStates(name: string): readonly IpvsState[] {
  const folder = path.join(GOLDEN_ROOT, name)
  const read = (file: string) => readFileSync(path.join(folder, file), 'utf8')
  const { snapshot } = assembleSnapshot(parseDocuments(read('cluster.yaml'), 'cluster.yaml').objects)
  const { config } = decodeProxyConfig(read('ipvs/config.yaml'), 'config.yaml')
  const { host } = decodeHost(read('ipvs/host.json'), 'host.json')
  if (config === undefined || host === undefined) throw new Error(`${name}: its configuration or host can't be read`)
  const { facts } = describeNode(config.hostnameOverride, snapshot.nodes.get(config.hostnameOverride), config, host)
  return FAMILIES.map((family) => linkIpvs(compileIpvs(snapshot, config, facts, family)))
}
