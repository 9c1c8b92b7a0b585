// Ports of the same form share one trace on the page. Held here: that says the same as tracing every port by itself.
import { readdirSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { picturesOf } from '../../src/cli/graph-rules.ts'
import { type RuleSource, readRuleSource } from '../../src/cli/rule-source.ts'
import { compileIpvsSource } from '../../src/cli/rule-source-ipvs.ts'
import { createTerminal } from '../../src/cli/terminal.ts'
import { networkFor, simulatorFor } from '../../src/cli/trace-network.ts'
import { defaultProxyConfig } from '../../src/index.ts'
import { compile } from '../../src/iptables/compile.ts'
import { link } from '../../src/iptables/link.ts'
import { createSimulator } from '../../src/iptables/simulate.ts'
import type { Cidr, Ip } from '../../src/model/address.ts'
import type { Service, Snapshot } from '../../src/model/snapshot.ts'
import { networkOfNode } from '../../src/packet/network-of-node.ts'
import { describePage, type FamilyInput, type PageContent } from '../../src/picture/page-content.ts'
import { iptablesPictures } from '../../src/picture/port-pictures.ts'
import { putIn } from '../../src/picture/tokens.ts'
import { captureStream } from '../cli/command.ts'
import { plainNode, serviceEntry, snapshotOf } from '../support/many-services.ts'

const GOLDEN = path.join(import.meta.dirname, '..', '..', 'rules-golden', 'own')

function page(inputs: readonly FamilyInput[], alone: boolean): PageContent {
  return describePage(inputs, { label: 'x', node: 'node1', wanted: () => true, ...(alone && { alone: true }) })
}

/** What a person sees of every port: nothing of forms is left. */
function expand({ services, forms }: PageContent): unknown {
  return services.map(([service, ports]) => [
    service,
    ports.map(([position, ...names]) => {
      const form = forms[position]
      const inside = (value: unknown): unknown =>
        JSON.parse(JSON.stringify(value), (_, part: unknown) => (typeof part === 'string' ? putIn(part, names) : part))
      return inside(form)
    }),
  ])
}

function arbitraryService(): fc.Arbitrary<(index: number) => ReturnType<typeof serviceEntry>> {
  const ips = ['10.244.1.5', '10.244.1.200', '10.244.2.5', '10.244.2.6', '192.168.1.63', '172.30.0.1', '8.8.8.8']
  return fc
    .record({
      endpoints: fc.uniqueArray(fc.constantFrom(...ips), { maxLength: 3 }),
      nodePort: fc.option(fc.integer({ min: 30_000, max: 30_004 }), { nil: undefined }),
      externalIPs: fc.uniqueArray(fc.constantFrom('198.51.100.1', '192.168.1.63', '198.51.100.2', '10.244.1.5'), {
        maxLength: 2,
      }),
      loadBalancer: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
      ranges: fc.uniqueArray(fc.constantFrom('192.0.2.0/24', '10.244.0.0/16', '203.0.113.0/24'), { maxLength: 2 }),
      external: fc.constantFrom('Cluster' as const, 'Local' as const),
      internal: fc.constantFrom('Cluster' as const, 'Local' as const),
      port: fc.constantFrom(80, 443),
      affinity: fc.constantFrom(undefined, 80, 10_800),
    })
    .map(
      ({ endpoints, nodePort, externalIPs, loadBalancer, ranges, external, internal, port, affinity }) =>
        (index) => {
          const change: Partial<Service> = {
            type: loadBalancer === undefined ? (nodePort === undefined ? 'ClusterIP' : 'NodePort') : 'LoadBalancer',
            ports: [{ name: 'p', protocol: 'tcp', port, ...(nodePort !== undefined && { nodePort }) }],
            externalIPs: externalIPs.map((ip) => ip as Ip),
            listsExternalIPs: externalIPs.length > 0,
            loadBalancerIPs: loadBalancer === undefined ? [] : [`203.0.113.${loadBalancer}` as Ip],
            loadBalancerSourceRanges: ranges.map((range) => range as Cidr),
            externalTrafficPolicy: external,
            internalTrafficPolicy: internal,
            ...(affinity !== undefined && { affinitySeconds: affinity }),
          }
          return serviceEntry(index, endpoints, 'ipv4', change)
        },
    )
}

function ipvsInputs(snapshot: Snapshot, scheduler: string): readonly FamilyInput[] {
  const node = { ...plainNode(), podCIDRs: ['10.244.1.0/24' as Cidr] }
  const plain = defaultProxyConfig()
  const config = {
    ...plain,
    mode: 'ipvs' as const,
    clusterCIDRs: ['10.244.0.0/16' as Cidr],
    ipvs: { ...plain.ipvs, scheduler },
  }
  const objects = { snapshot, config, node }
  const compiled = compileIpvsSource(objects, ['ipv4'])
  const source: RuleSource = { ...objects, ...compiled, label: 'x', mode: 'ipvs', issues: [] }
  return picturesOf(source, createTerminal(captureStream())).map((pictures) => ({
    pictures,
    network: networkFor(source, pictures.family, undefined),
    trace: simulatorFor(source, pictures.family),
  }))
}

describe('sharing traces between ports of the same form', () => {
  const golden = readdirSync(GOLDEN).flatMap((name) =>
    (['iptables', 'ipvs'] as const).map((mode) => [name, mode] as const),
  )
  test.each(golden)('says of %s in mode %s what single traces say', async (name, mode) => {
    const files = readdirSync(path.join(GOLDEN, name))
    const cluster = files.find((file) => /^cluster(\.1)?\.yaml$/.test(file)) ?? ''
    const stream = captureStream()
    const source = await readRuleSource(
      {
        filename: [path.join(GOLDEN, name, cluster)],
        proxyFlags: new Map(),
        ...(files.includes(mode) ? { config: path.join(GOLDEN, name, mode, 'config.yaml') } : { mode }),
      },
      { stdin: process.stdin, stdout: stream, stderr: stream },
      createTerminal(stream),
    )
    const inputs = picturesOf(source, createTerminal(stream)).map((pictures) => ({
      pictures,
      network: networkFor(source, pictures.family, undefined),
      trace: simulatorFor(source, pictures.family),
    }))
    expect(expand(page(inputs, false))).toEqual(expand(page(inputs, true)))
  })

  test('says of random Services what single traces say', () => {
    fc.assert(
      fc.property(fc.array(arbitraryService(), { minLength: 1, maxLength: 12 }), (services) => {
        const node = { ...plainNode(), podCIDRs: ['10.244.1.0/24' as Cidr] }
        const config = { ...defaultProxyConfig(), clusterCIDRs: ['10.244.0.0/16' as Cidr] }
        const ruleset = link(compile(snapshotOf(services.map((make, index) => make(index))), config, node, 'ipv4'))
        const network = networkOfNode({ node, config }, 'ipv4')
        const inputs = [{ pictures: iptablesPictures(ruleset), network, trace: createSimulator(ruleset) }]
        const shared = page(inputs, false)
        expect(expand(shared)).toEqual(expand(page(inputs, true)))
        expect(shared.forms.length).toBeLessThanOrEqual(services.length)
      }),
      { numRuns: 60 },
    )
  })

  test('says of random Services in IPVS mode what single traces say', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryService(), { minLength: 1, maxLength: 12 }),
        fc.constantFrom('rr', 'sh'),
        (services, scheduler) => {
          const snapshot = snapshotOf(services.map((make, index) => make(index)))
          const inputs = ipvsInputs(snapshot, scheduler)
          const shared = page(inputs, false)
          expect(expand(shared)).toEqual(expand(page(inputs, true)))
          expect(shared.forms.length).toBeLessThanOrEqual(services.length)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('ten Services of one form are one form in IPVS mode too', () => {
    const entries = Array.from({ length: 10 }, (_, index) => serviceEntry(index, [`10.0.0.${index + 1}`]))
    const content = page(ipvsInputs(snapshotOf(entries), 'rr'), false)
    expect(content.forms).toHaveLength(1)
    expect(content.services).toHaveLength(10)
  })

  test.each(['iptables', 'ipvs'] as const)(
    'source ranges that the picture leaves out are told apart in mode %s',
    (mode) => {
      const ranges = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '10.4.0.0/16']
      const entries = ['192.0.2.0/24', '198.18.0.0/15'].map((last, index) =>
        serviceEntry(index, ['10.0.0.1'], 'ipv4', {
          type: 'LoadBalancer',
          loadBalancerIPs: [`203.0.113.${index + 1}` as Ip],
          loadBalancerSourceRanges: [...ranges, last].map((range) => range as Cidr),
        }),
      )
      const snapshot = snapshotOf(entries)
      const node = plainNode()
      const ruleset = link(compile(snapshot, defaultProxyConfig(), node, 'ipv4'))
      const network = networkOfNode({ node }, 'ipv4')
      const inputs =
        mode === 'ipvs'
          ? ipvsInputs(snapshot, 'rr')
          : [{ pictures: iptablesPictures(ruleset), network, trace: createSimulator(ruleset) }]
      // 192.0.2.200 is the client outside.
      expect(page(inputs, false)).toMatchObject({ forms: { length: 2 } })
      expect(expand(page(inputs, false))).toEqual(expand(page(inputs, true)))
    },
  )

  test('ten Services of one form are one form', () => {
    const node = plainNode()
    const entries = Array.from({ length: 10 }, (_, index) => serviceEntry(index, [`10.0.0.${index + 1}`]))
    const ruleset = link(compile(snapshotOf(entries), defaultProxyConfig(), node, 'ipv4'))
    const network = networkOfNode({ node }, 'ipv4')
    const content = page([{ pictures: iptablesPictures(ruleset), network, trace: createSimulator(ruleset) }], false)
    // Addresses of another length need boxes of another width.
    expect(content.forms).toHaveLength(1)
    expect(content.services).toHaveLength(10)
  })
})
