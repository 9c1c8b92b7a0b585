// rules-golden/size.txt: how many rules there are, by kube-proxy's way of counting.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assembleSnapshot,
  compile,
  decodeProxyConfig,
  describeNode,
  link,
  type RawObject,
  type Snapshot,
} from '../src/index.ts'
import { GOLDEN_ROOT } from './support/golden-case.ts'

interface Size {
  readonly services: number
  readonly endpoints: number
  readonly kind: string
  readonly filter: number
  readonly nat: number
}

const sizes = readSizes(readFileSync(path.join(GOLDEN_ROOT, 'size.txt'), 'utf8'))

describe('rules-golden/size.txt', () => {
  test('is there', () => {
    expect(sizes.length).toBeGreaterThanOrEqual(11)
  })

  test.each(sizes)('$services Services of kind $kind with $endpoints endpoints', ({ filter, nat, ...size }) => {
    expect(countRules(size)).toEqual({ filter, nat })
  })

  test('follows a formula for Services that have only a cluster IP', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(12), (services, endpoints) => {
        const expected =
          endpoints === 0 ? { filter: 4 + services, nat: 5 } : { filter: 4, nat: 5 + services * (2 + 3 * endpoints) }
        expect(countRules({ services, endpoints, kind: 'cluster-ip' })).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })
})

function readSizes(text: string): readonly Size[] {
  const rows = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return rows.map((row) => {
    const [services, endpoints, kind = '', filter, nat] = row.trim().split(/\s+/)
    return { services: Number(services), endpoints: Number(endpoints), kind, filter: Number(filter), nat: Number(nat) }
  })
}

/** Rules of KUBE- chains in the IPv4 tables. */
function countRules(size: Pick<Size, 'services' | 'endpoints' | 'kind'>): { filter: number; nat: number } {
  const { config } = decodeProxyConfig(
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.0.0.0/8\n',
    'config.yaml',
  )
  if (config === undefined) throw new Error('the configuration of this test is broken')
  const { facts } = describeNode('node1', undefined, config, undefined)
  const { tables } = link(compile(makeSnapshot(size), config, facts, 'ipv4'))
  const count = (table: string) =>
    [...(tables.get(table) ?? [])]
      .filter(([chain]) => chain.startsWith('KUBE-'))
      .reduce((sum, [, { rules }]) => sum + rules.length, 0)
  return { filter: count('filter'), nat: count('nat') }
}

function makeSnapshot({ services, endpoints, kind }: Pick<Size, 'services' | 'endpoints' | 'kind'>): Snapshot {
  const objects = Array.from({ length: services }, (_, index): readonly RawObject[] => {
    const name = `svc-${index}`
    const [high, low] = [Math.floor(index / 200), 1 + (index % 200)]
    const outside = kind === 'load-balancer' ? loadBalancerFields(high, low, index) : {}
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'default', name },
      spec: { clusterIP: `172.30.${high}.${low}`, ports: [{ port: 80, ...outside.port }], ...outside.spec },
      status: { loadBalancer: { ingress: outside.ingress ?? [] } },
    }
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { namespace: 'default', name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: '', port: 80 }],
      endpoints: Array.from({ length: endpoints }, (_unused, at) => ({ addresses: [`10.${high}.${low}.${at + 1}`] })),
    }
    return [service, slice].map((value) => ({ value, at: {} }))
  })
  const { snapshot, issues } = assembleSnapshot(objects.flat())
  expect(issues).toEqual([])
  return snapshot
}

interface Outside {
  readonly port?: { readonly nodePort: number }
  readonly spec?: object
  readonly ingress?: readonly object[]
}

function loadBalancerFields(high: number, low: number, index: number): Outside {
  return {
    port: { nodePort: 30_000 + index },
    spec: {
      type: 'LoadBalancer',
      externalIPs: [`192.168.${high}.${low}`],
      loadBalancerSourceRanges: ['203.0.113.0/24'],
    },
    ingress: [{ ip: `198.51.${high}.${low}` }],
  }
}
