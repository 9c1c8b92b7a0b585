// Whatever stands in an object, nothing throws, and nothing gets into a Snapshot or a message that could break out of its
// place in a rule or a line.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeEndpointSlice, decodeNode, decodeService } from '../../../src/kube/decode/decode.ts'
import { assembleSnapshot } from '../../../src/kube/manifests/assemble.ts'
import { parseDocuments } from '../../../src/kube/manifests/documents.ts'
import { formatIssue } from '../../../src/model/issue.ts'
import { AT } from '../../support/decoded-issues.ts'
import { rawNode } from '../../support/raw-objects.ts'

describe('hostile text', () => {
  const nasty = fc.oneof(
    fc.constantFrom(
      'a"b',
      "a'b",
      'a\nCOMMIT\n',
      'a\0b',
      '-j ACCEPT',
      '10.0.0.1/0',
      '$(x)',
      'é',
      '\u2028',
      '__proto__',
      'constructor',
      'x'.repeat(5000),
    ),
    fc.string({ unit: 'binary' }),
  )
  const wild = fc.oneof(
    nasty,
    fc.anything({ withNullPrototype: true, maxDepth: 2 }),
    fc.constantFrom(null, -1, 1e99, Number.NaN, [], {}),
  )
  // Each field keeps a good value most of the time, so that many objects survive with one or two hostile fields.
  const field = (...good: readonly unknown[]) =>
    fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: wild })
  const metadata = fc.record({
    name: field('web', 'a'),
    namespace: field('shop', undefined),
    labels: field({ 'kubernetes.io/service-name': 'web' }, undefined),
  })
  const port = fc.record({
    name: field('http', '', undefined),
    port: field(80, 443),
    protocol: field('TCP', 'UDP', undefined),
    nodePort: field(undefined, 30080),
  })
  const address = field('10.0.0.1', 'fd00::1')
  const service = fc.record({
    metadata,
    spec: fc.record({
      type: field('ClusterIP', 'LoadBalancer'),
      clusterIP: field('172.30.0.41', 'fd00::41'),
      clusterIPs: fc.array(address, { maxLength: 2 }),
      ipFamilies: field(undefined, ['IPv4'], ['IPv6', 'IPv4']),
      ports: fc.array(port, { maxLength: 3 }),
      externalIPs: fc.array(fc.oneof(address, nasty), { maxLength: 3 }),
      loadBalancerSourceRanges: fc.array(fc.oneof(field('10.0.0.0/8'), nasty), { maxLength: 3 }),
    }),
    status: fc.record({
      loadBalancer: fc.record({ ingress: fc.array(fc.record({ ip: fc.oneof(address, nasty) }), { maxLength: 2 }) }),
    }),
  })
  const slice = fc.record({
    metadata,
    addressType: field('IPv4', 'IPv6'),
    ports: fc.array(port, { maxLength: 2 }),
    endpoints: fc.array(
      fc.record({
        addresses: fc.array(fc.oneof(address, nasty), { maxLength: 2 }),
        nodeName: fc.oneof(nasty, fc.constant('n')),
      }),
      { maxLength: 3 },
    ),
  })

  const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
  const LABEL_OR_NOTHING = /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$/
  const ADDRESS = /^[0-9a-f:.]+$/
  const CIDR = /^[0-9a-f:.]+\/\d+$/

  it('in any field of a Service never throws, and only safe names and addresses survive', () => {
    let survivors = 0
    fc.assert(
      fc.property(service, (value) => {
        const { object, issues } = decodeService(value, AT)
        for (const issue of issues) expect(formatIssue(issue)).toMatch(/^[^\p{Cc}\u2028\u2029]{1,700}$/u)
        if (object === undefined) return
        survivors++
        for (const name of [object.namespace, object.name]) expect(name).toMatch(LABEL)
        for (const { name } of object.ports) expect(name).toMatch(LABEL_OR_NOTHING)
        for (const ip of [...Object.values(object.clusterIPs), ...object.externalIPs, ...object.loadBalancerIPs])
          expect(ip).toMatch(ADDRESS)
        for (const cidr of object.loadBalancerSourceRanges) expect(cidr).toMatch(CIDR)
      }),
      { numRuns: 2000 },
    )
    expect(survivors).toBeGreaterThan(100)
  })

  it('in any field of an EndpointSlice never throws, and only safe names and addresses survive', () => {
    let survivors = 0
    fc.assert(
      fc.property(slice, (value) => {
        const { object, issues } = decodeEndpointSlice(value, AT)
        for (const issue of issues) expect(formatIssue(issue)).toMatch(/^[^\p{Cc}\u2028\u2029]{1,700}$/u)
        if (object === undefined) return
        survivors++
        expect(object.namespace).toMatch(LABEL)
        expect(object.service).toMatch(/^[-a-z0-9]+\/[-a-z0-9]+$/)
        for (const { name } of object.ports) expect(name).toMatch(LABEL_OR_NOTHING)
        for (const { ip } of object.endpoints) expect(ip).toMatch(ADDRESS)
      }),
      { numRuns: 2000 },
    )
    expect(survivors).toBeGreaterThan(100)
  })

  it('in place of whole objects and documents never throws', () => {
    fc.assert(
      fc.property(wild, fc.string({ unit: 'binary' }), (value, text) => {
        for (const decode of [decodeService, decodeEndpointSlice, decodeNode]) decode(value, AT)
        decodeNode(rawNode({ metadata: value, status: { addresses: [value] } }), AT)
        const { objects } = parseDocuments(text, 'f')
        const kinds = ['Service', 'EndpointSlice', 'Node', 'Pod', 'Endpoints', text]
        const hostile = kinds.map((kind) => ({
          value: { kind, apiVersion: 'v1', metadata: value, spec: value },
          at: AT,
        }))
        expect(assembleSnapshot([...objects, ...hostile]).snapshot.services).toEqual([])
      }),
    )
  })
})
