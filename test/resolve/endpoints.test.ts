import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Ip } from '../../src/model/address.ts'
import type { Endpoint, ServicePort } from '../../src/model/service-port.ts'
import type { Service, SliceEndpoint, TrafficPolicy } from '../../src/model/snapshot.ts'
import { collectEndpoints, resolveEndpoints } from '../../src/resolve/endpoints.ts'
import { resolveServicePorts } from '../../src/resolve/service-ports.ts'
import { arbitraryEndpoint } from '../support/arbitrary-cluster.ts'
import { A, B, GONE, LAST_RESORT, NOT_READY, READY, slice } from '../support/slice-endpoints.ts'

const HERE = { nodeName: 'node1' }
const PLACE = { nodeName: 'node1', zone: 'za' }

interface Given {
  readonly internal: TrafficPolicy
  readonly external: TrafficPolicy
  readonly nodePort?: number
}

function resolve(endpoints: readonly SliceEndpoint[], { internal, external, nodePort }: Given): ServicePort {
  const service: Service = {
    namespace: 'ns1',
    name: 'svc1',
    type: 'NodePort',
    clusterIPs: { ipv4: '172.30.0.41' as Ip },
    ports: [{ name: 'p80', protocol: 'tcp', port: 80, ...(nodePort !== undefined && { nodePort }) }],
    externalIPs: [],
    listsExternalIPs: false,
    loadBalancerIPs: [],
    loadBalancerSourceRanges: [],
    externalTrafficPolicy: external,
    internalTrafficPolicy: internal,
  }
  const context = { ...PLACE, family: 'ipv4' as const, nodeIP: '192.168.1.63' as Ip, allowExternalIPs: true }
  const [port] = resolveServicePorts(service, [slice('s', endpoints)], context)
  if (port === undefined) throw new Error('no ServicePort')
  return port
}

function lists({ endpoints }: ServicePort): Record<string, readonly string[]> {
  const last = (list: ServicePort['endpoints']['cluster']) => list.map(({ ip }) => (ip === A.ip ? 'a' : 'b'))
  return { cluster: last(endpoints.cluster), local: last(endpoints.local), reachable: last(endpoints.reachable) }
}

const REJECT = { kind: 'reject' }
const DROP = { kind: 'drop' }
const CLUSTER = { kind: 'balance', over: 'cluster' }
const LOCAL = { kind: 'balance', over: 'local' }
const BOTH_CLUSTER: Given = { internal: 'Cluster', external: 'Cluster' }
const EXTERNAL_LOCAL: Given = { internal: 'Cluster', external: 'Local', nodePort: 30_000 }
const INTERNAL_LOCAL: Given = { internal: 'Local', external: 'Cluster' }

describe('which endpoints may serve', () => {
  test.each([
    [
      'a ready one before a terminating one',
      [
        { ...A, ...READY },
        { ...B, ...LAST_RESORT },
      ],
      BOTH_CLUSTER,
      ['a'],
      [],
      ['a'],
      CLUSTER,
      CLUSTER,
    ],
    [
      'all terminating ones when none is ready',
      [
        { ...A, ...LAST_RESORT },
        { ...B, ...LAST_RESORT },
      ],
      BOTH_CLUSTER,
      ['a', 'b'],
      [],
      ['a', 'b'],
      CLUSTER,
      CLUSTER,
    ],
    [
      'never one that is not ready, though it serves',
      [{ ...A, ...NOT_READY }],
      BOTH_CLUSTER,
      [],
      [],
      [],
      REJECT,
      REJECT,
    ],
    ['never one that terminates and does not serve', [{ ...A, ...GONE }], BOTH_CLUSTER, [], [], [], REJECT, REJECT],
    [
      'a terminating one here for policy Local, beside a ready one elsewhere',
      [
        { ...A, ...HERE, ...LAST_RESORT },
        { ...B, ...READY },
      ],
      EXTERNAL_LOCAL,
      ['b'],
      ['a'],
      ['a', 'b'],
      CLUSTER,
      LOCAL,
    ],
    [
      'none here, but elsewhere, of a Service that is internal and Local',
      [{ ...A, ...READY }],
      INTERNAL_LOCAL,
      [],
      [],
      [],
      DROP,
      CLUSTER,
    ],
    [
      'one elsewhere for traffic from outside alone',
      [{ ...A, ...READY }],
      { ...INTERNAL_LOCAL, nodePort: 30_000 },
      ['a'],
      [],
      ['a'],
      DROP,
      CLUSTER,
    ],
    [
      'one here for policy Local whatever zone it is hinted for',
      [
        { ...A, ...HERE, ...READY, zoneHints: ['zb'] },
        { ...B, ...READY, zoneHints: ['za'] },
      ],
      EXTERNAL_LOCAL,
      ['b'],
      ['a'],
      ['a', 'b'],
      CLUSTER,
      LOCAL,
    ],
    [
      'a ready one here alone, for policy Local, though another here terminates',
      [
        { ...A, ...HERE, ...READY },
        { ...B, ...HERE, ...LAST_RESORT },
      ],
      EXTERNAL_LOCAL,
      ['a'],
      ['a'],
      ['a'],
      CLUSTER,
      LOCAL,
    ],
    [
      'none here for policy Local when the only one here is not ready',
      [
        { ...A, ...HERE, ...NOT_READY },
        { ...B, ...READY },
      ],
      EXTERNAL_LOCAL,
      ['b'],
      [],
      ['b'],
      CLUSTER,
      DROP,
    ],
    ['nobody at all', [], EXTERNAL_LOCAL, [], [], [], REJECT, REJECT],
  ] as const)('%s', (_, endpoints, policies, cluster, local, reachable, internal, external) => {
    const port = resolve(endpoints, policies)
    expect(lists(port)).toEqual({ cluster, local, reachable })
    expect(port.internal).toEqual(internal)
    expect(port.external).toEqual(external)
  })

  test('a terminating one that still counts as ready is ready', () => {
    const port = resolve(
      [
        { ...A, ready: true, serving: true, terminating: true },
        { ...B, ...READY },
      ],
      BOTH_CLUSTER,
    )
    expect(lists(port)['cluster']).toEqual(['a', 'b'])
  })

  test('one on this node only when both names are known', () => {
    const [endpoint] = collectEndpoints([slice('s', [{ ...READY, ip: A.ip, nodeName: '' }])], 'ipv4', 'p80', 'tcp', '')
    expect(endpoint?.local).toBe(false)
  })
})

// a runs here, b elsewhere: what is in a list shows which of the lists are made at all.
describe('policies decide which lists are made', () => {
  const both = [
    { ...A, ...HERE, ...READY },
    { ...B, ...READY },
  ]
  test.each([
    ['Cluster', 'Cluster', undefined, ['a', 'b'], []],
    ['Cluster', 'Cluster', 30_000, ['a', 'b'], []],
    ['Cluster', 'Local', 30_000, ['a', 'b'], ['a']],
    ['Cluster', 'Local', undefined, ['a', 'b'], []],
    ['Local', 'Cluster', undefined, [], ['a']],
    ['Local', 'Local', undefined, [], ['a']],
    ['Local', 'Cluster', 30_000, ['a', 'b'], ['a']],
    ['Local', 'Local', 30_000, ['a', 'b'], ['a']],
  ] as const)('internal %s, external %s, node port %s', (internal, external, nodePort, cluster, local) => {
    const port = resolve(both, { internal, external, ...(nodePort !== undefined && { nodePort }) })
    const reachable = cluster.length > 0 ? cluster : local
    expect(lists(port)).toEqual({ cluster, local, reachable })
    expect(port.externallyAccessible).toBe(nodePort !== undefined)
  })
})

/** The same rules, said in another way: over sets, endpoint by endpoint. */
test('any endpoints are chosen as the rules say', () => {
  const given = fc.array(arbitraryEndpoint('ipv4'), { maxLength: 6 })
  fc.assert(
    fc.property(
      given,
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom('', 'za', 'zb'),
      (endpoints, cluster, local, zone) => {
        const all = collectEndpoints([slice('s', endpoints)], 'ipv4', 'p80', 'tcp', 'node1')
        const resolved = resolveEndpoints(all, { cluster, local }, { nodeName: 'node1', zone })
        const everywhere = firstNotEmpty(
          all.filter((endpoint) => endpoint.ready),
          all.filter(isLastResort),
        )
        const here = firstNotEmpty(
          all.filter((endpoint) => endpoint.ready && endpoint.local),
          all.filter((endpoint) => isLastResort(endpoint) && endpoint.local),
        )
        const near = followHints(everywhere, zone)
        const expected = { cluster: cluster ? near : [], local: local ? here : [] }
        const both = new Set([...expected.cluster, ...expected.local])
        expect(resolved).toEqual({
          ...expected,
          reachable: all.filter((endpoint) => both.has(endpoint)),
          known: new Set(endpoints.map(({ ip }) => ip)).size,
          any: (cluster || local) && everywhere.length > 0,
        })
      },
    ),
    { numRuns: 1000 },
  )
})

function isLastResort({ serving, terminating }: Endpoint): boolean {
  return serving && terminating
}

function firstNotEmpty<T>(...candidates: readonly (readonly T[])[]): readonly T[] {
  return candidates.find((each) => each.length > 0) ?? []
}

/** Hints count when all ready endpoints have some and some are for here: those for nodes, else those for zones. */
function followHints(endpoints: readonly Endpoint[], zone: string): readonly Endpoint[] {
  const hinted = [
    { hints: endpoints.map((endpoint) => endpoint.nodeHints), wanted: 'node1' },
    { hints: endpoints.map((endpoint) => endpoint.zoneHints), wanted: zone },
  ].map(({ hints, wanted }) =>
    hints.includes(undefined) ? [] : endpoints.filter((_, index) => hints[index]?.includes(wanted)),
  )
  return endpoints.some((endpoint) => endpoint.ready) ? firstNotEmpty(...hinted, endpoints) : endpoints
}
