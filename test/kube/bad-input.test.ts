// One row for each kind of bad input: the whole message as a person sees it, and whether the object is still used.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assembleSnapshot } from '../../src/kube/assemble.ts'
import { decodeEndpointSlice, decodeNode, decodeService } from '../../src/kube/decode.ts'
import { parseDocuments } from '../../src/kube/documents.ts'
import { formatIssue } from '../../src/model/issue.ts'
import { rawNode, rawService, rawSlice } from '../support/raw-objects.ts'

type Fields = Record<string, unknown>

const AT = { source: 'f.yaml', document: 2 }
const WEB = 'f.yaml, document 2: Service shop/web'
const SLICE = 'f.yaml, document 2: EndpointSlice shop/web-1'

function serviceIssues(spec: Fields, more: Fields = {}) {
  const { object, issues } = decodeService(rawService(spec, more), AT)
  return { used: object !== undefined, issues: issues.map((issue) => `${issue.severity} ${formatIssue(issue)}`) }
}

function sliceIssues(more: Fields) {
  const { object, issues } = decodeEndpointSlice(rawSlice(more), AT)
  return { used: object !== undefined, issues: issues.map((issue) => `${issue.severity} ${formatIssue(issue)}`) }
}

const ADDRESS_ADVICE = 'write one such as 10.96.0.10 or fd00::10'
const NAME_ADVICE = 'use a-z, 0-9 and -, at most 63, beginning and ending with a letter or digit'

describe('a Service is skipped for', () => {
  it.each<[string, Fields, string]>([
    [
      'a port out of range',
      { ports: [{ port: 70000 }] },
      'spec.ports[0].port: 70000 is out of range: use a port from 1 to 65535',
    ],
    ['a port 0', { ports: [{ port: 0 }] }, 'spec.ports[0].port: 0 is out of range: use a port from 1 to 65535'],
    [
      'half a port',
      { ports: [{ port: 80.5 }] },
      'spec.ports[0].port: 80.5 is out of range: use a port from 1 to 65535',
    ],
    [
      'a port in quotes',
      { ports: [{ port: '80' }] },
      'spec.ports[0].port: "80" is not a number: write the number without quotes',
    ],
    [
      'a port that kubectl reads as octal',
      { ports: [{ port: '0100' }] },
      'spec.ports[0].port: "0100" has a leading zero, which makes it octal for kubectl: write the number without it',
    ],
    ['a missing port', { ports: [{}] }, 'spec.ports[0].port: is missing: add it'],
    ['an empty port', { ports: [{ port: null }] }, 'spec.ports[0].port: is empty: give a number'],
    [
      'a node port out of range',
      { ports: [{ port: 80, nodePort: 65536 }] },
      'spec.ports[0].nodePort: 65536 is out of range: use a port from 1 to 65535',
    ],
    [
      'an unknown protocol',
      { ports: [{ port: 80, protocol: 'ICMP' }] },
      'spec.ports[0].protocol: "ICMP" is not a value that the API has: use TCP, UDP or SCTP',
    ],
    [
      'a protocol in lower case',
      { ports: [{ port: 80, protocol: 'tcp' }] },
      'spec.ports[0].protocol: "tcp" is not a value that the API has: use TCP, UDP or SCTP',
    ],
    [
      'a bad port name',
      { ports: [{ port: 80, name: 'a"b' }] },
      `spec.ports[0].name: "a\\"b" is not a port name: ${NAME_ADVICE}`,
    ],
    [
      'ports that are no list',
      { ports: { port: 80 } },
      'spec.ports: a map is not a list: write `- ` items, or leave it out',
    ],
    ['a port that is no map', { ports: ['80'] }, 'spec.ports[0]: "80" is not a map: write `key: value` lines'],
    [
      'an unknown type',
      { type: 'Clusterip' },
      'spec.type: "Clusterip" is not a value that the API has: use ClusterIP, NodePort, LoadBalancer or ExternalName',
    ],
    [
      'a bad cluster IP',
      { clusterIP: '10.0.0.256' },
      `spec.clusterIP: "10.0.0.256" is not an IP address: ${ADDRESS_ADVICE}`,
    ],
    [
      'a bad second cluster IP',
      { clusterIPs: ['10.0.0.1', 'fd00::x'], ipFamilies: ['IPv4', 'IPv6'] },
      `spec.clusterIPs[1]: "fd00::x" is not an IP address: ${ADDRESS_ADVICE}`,
    ],
    [
      'a cluster IP of another family',
      { clusterIPs: ['172.30.0.41'], ipFamilies: ['IPv6'] },
      'spec.clusterIPs[0]: 172.30.0.41 is not of the family IPv6, which spec.ipFamilies[0] says: make them agree',
    ],
    ['an unknown family', { ipFamilies: ['ipv4'] }, 'spec.ipFamilies[0]: "ipv4" is not an IP family: use IPv4 or IPv6'],
    ['a cluster IP that is no text', { clusterIP: 10 }, 'spec.clusterIP: 10 is not text: put it in quotes'],
    [
      'an unknown traffic policy',
      { externalTrafficPolicy: 'local' },
      'spec.externalTrafficPolicy: "local" is not a value that the API has: use Cluster or Local',
    ],
    [
      'an unknown affinity',
      { sessionAffinity: 'Cookie' },
      'spec.sessionAffinity: "Cookie" is not a value that the API has: use None or ClientIP',
    ],
    [
      'an affinity timeout out of range',
      { sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } },
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is out of range: use a number of seconds from 1 to 86400',
    ],
    [
      'a health check port out of range',
      { healthCheckNodePort: -1 },
      'spec.healthCheckNodePort: -1 is out of range: use a port from 1 to 65535',
    ],
    [
      'external IPs that are no list',
      { externalIPs: '10.0.0.1' },
      'spec.externalIPs: "10.0.0.1" is not a list: write `- ` items, or leave it out',
    ],
  ])('%s', (_what, spec, message) => {
    expect(serviceIssues(spec)).toEqual({ used: false, issues: [`error ${WEB} ${message}`] })
  })

  it.each<[string, Fields, string]>([
    ['a list in place of its spec', { spec: [] }, `${WEB} spec: a list is not a map: write \`key: value\` lines`],
    ['a missing spec', { spec: undefined }, `${WEB} spec: is missing: add it`],
    ['text in place of its status', { status: 'up' }, `${WEB} status: "up" is not a map: write \`key: value\` lines`],
    [
      'a missing name',
      { metadata: { namespace: 'shop' } },
      'f.yaml, document 2: Service shop/(no name) metadata.name: is missing: add it',
    ],
    [
      'a name that breaks the line',
      { metadata: { name: 'a\nCOMMIT' } },
      `f.yaml, document 2: Service default/"a\\nCOMMIT" metadata.name: "a\\nCOMMIT" is not a name: ${NAME_ADVICE}`,
    ],
    [
      'a name that is too long',
      { metadata: { name: 'a'.repeat(64) } },
      `f.yaml, document 2: Service default/${'a'.repeat(64)} metadata.name: "${'a'.repeat(60)}..." is not a name: ${NAME_ADVICE}`,
    ],
    [
      'a bad namespace',
      { metadata: { name: 'web', namespace: 'A/b' } },
      `f.yaml, document 2: Service "A/b"/web metadata.namespace: "A/b" is not a name: ${NAME_ADVICE}`,
    ],
  ])('%s', (_what, more, message) => {
    expect(serviceIssues({}, more)).toEqual({ used: false, issues: [`error ${message}`] })
  })
})

describe('the rest of a Service is used with', () => {
  it.each<[string, Fields, Fields, string]>([
    [
      'a bad external IP',
      { externalIPs: ['192.0.2.1', '1.2.3'] },
      {},
      `spec.externalIPs[1]: "1.2.3" is not an IP address: ${ADDRESS_ADVICE}`,
    ],
    [
      'a bad source range',
      { loadBalancerSourceRanges: ['10.0.0.1'] },
      {},
      'spec.loadBalancerSourceRanges[0]: "10.0.0.1" is not a CIDR and does not count: write one such as 203.0.113.0/24',
    ],
    [
      'a bad load-balancer IP',
      {},
      { status: { loadBalancer: { ingress: [{ ip: 'lb' }] } } },
      `status.loadBalancer.ingress[0].ip: "lb" is not an IP address: ${ADDRESS_ADVICE}`,
    ],
  ])('%s', (_what, spec, more, message) => {
    expect(serviceIssues(spec, more)).toEqual({ used: true, issues: [`error ${WEB} ${message}`] })
  })
})

describe('a slice is skipped for', () => {
  it.each<[string, Fields, string]>([
    [
      'an addressType that the API does not have',
      { addressType: 'IPv5' },
      'addressType: "IPv5" is an addressType that the API does not have: use IPv4 or IPv6',
    ],
    ['no addressType', { addressType: undefined }, 'addressType: is missing: add IPv4 or IPv6'],
    [
      'a condition that kubectl alone understands',
      { endpoints: [{ addresses: [], conditions: { ready: 'yes' } }] },
      'endpoints[0].conditions.ready: "yes" is text in YAML 1.2 and true or false for kubectl: write true or false',
    ],
    [
      'a condition of a wrong type',
      { endpoints: [{ addresses: [], conditions: { ready: 1 } }] },
      'endpoints[0].conditions.ready: 1 is not true or false: write true or false, without quotes',
    ],
    [
      'a port out of range',
      { ports: [{ name: '', port: 65536 }] },
      'ports[0].port: 65536 is out of range: use a port from 1 to 65535',
    ],
    [
      'an unknown protocol',
      { ports: [{ name: '', port: 1, protocol: 'QUIC' }] },
      'ports[0].protocol: "QUIC" is not a value that the API has: use TCP, UDP or SCTP',
    ],
    [
      'an address that is no text',
      { endpoints: [{ addresses: [10] }] },
      'endpoints[0].addresses[0]: 10 is not text: put it in quotes',
    ],
    [
      'a label that is no Service name',
      { metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'a/b' } } },
      'metadata.labels[kubernetes.io/service-name]: "a/b" is not the name of a Service: correct the label',
    ],
    [
      'a node name without end',
      { endpoints: [{ addresses: [], nodeName: 'n'.repeat(254) }] },
      'endpoints[0].nodeName: is longer than 253 characters: shorten it to the name that it stands for',
    ],
  ])('%s', (_what, more, message) => {
    expect(sliceIssues(more)).toEqual({ used: false, issues: [`error ${SLICE} ${message}`] })
  })
})

describe('a slice loses only', () => {
  it.each<[string, Fields, string]>([
    [
      'an endpoint with a bad address',
      { endpoints: [{ addresses: ['10.0.0'] }] },
      'endpoints[0].addresses[0]: "10.0.0" is not an IP address, so the endpoint is left out: write one such as 10.0.0.1 or fd00::1',
    ],
    [
      'an endpoint of another family',
      { endpoints: [{ addresses: ['fd00::1'] }] },
      'endpoints[0].addresses[0]: fd00::1 is not of the addressType IPv4, so the endpoint is left out: make them agree',
    ],
    [
      'an endpoint without an address',
      { endpoints: [{}] },
      'endpoints[0].addresses: is empty, so the endpoint is left out: add its address',
    ],
    [
      'a port without a name',
      { ports: [{ port: 80 }] },
      "ports[0].name: is missing, so kube-proxy passes over the port: write name: '' for an unnamed port",
    ],
  ])('%s', (_what, more, message) => {
    expect(sliceIssues(more)).toEqual({ used: true, issues: [`error ${SLICE} ${message}`] })
  })
})

describe('a notice, as kube-proxy passes over it, is', () => {
  const labelled = (labels: Fields) => ({ metadata: { name: 'web-1', namespace: 'shop', labels } })

  it.each<[string, Fields, string]>([
    [
      'a slice of domain names',
      { addressType: 'FQDN', endpoints: [{ addresses: ['example.com'] }] },
      'addressType: is FQDN: domain names are nothing that rules can lead to, the slice is left out',
    ],
    [
      'a slice without the label',
      labelled({}),
      'metadata.labels[kubernetes.io/service-name]: is missing, so the slice belongs to no Service and is left out: add the name of the Service',
    ],
    [
      'a slice of a headless Service',
      labelled({ 'kubernetes.io/service-name': 'web', 'service.kubernetes.io/headless': '' }),
      'metadata.labels[service.kubernetes.io/headless]: says that the Service is headless, so the slice is left out',
    ],
  ])('%s', (_what, more, message) => {
    expect(sliceIssues(more)).toEqual({ used: false, issues: [`notice ${SLICE} ${message}`] })
  })

  it('a Service that is left to another proxy', () => {
    const metadata = { name: 'web', namespace: 'shop', labels: { 'service.kubernetes.io/service-proxy-name': '' } }
    const message = `${WEB} metadata.labels[service.kubernetes.io/service-proxy-name]: leaves this Service to another proxy, so it is left out`
    expect(serviceIssues({}, { metadata })).toEqual({ used: false, issues: [`notice ${message}`] })
  })

  it('a Service that has no cluster IP yet, and one without rules is still known', () => {
    const message = 'spec.clusterIP: is not assigned yet, so there are no rules for this Service: add the address'
    expect(serviceIssues({ clusterIP: undefined })).toEqual({ used: true, issues: [`notice ${WEB} ${message}`] })
  })

  it('a slice of no known Service', () => {
    const { snapshot, issues } = assembleSnapshot([{ value: rawSlice(), at: AT }])
    expect(snapshot.services).toEqual([])
    expect(issues.map((issue) => `${issue.severity} ${formatIssue(issue)}`)).toEqual([
      `notice ${SLICE}: is a slice of no known Service and has no effect: add the Service shop/web`,
    ])
  })
})

describe('messages of whole files', () => {
  it('name file, document, line, object and field', () => {
    const text =
      'kind: X\napiVersion: v1\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - name: a\n    port: 010\n'
    const { objects } = parseDocuments(text, 'shop.yaml')
    expect(assembleSnapshot(objects).issues.map(formatIssue)).toEqual([
      'shop.yaml, document 2, line 11: Service default/web spec.ports[0].port: "010" has a leading zero, which makes it octal for kubectl: write the number without it',
    ])
  })

  it('stop after ten for one object', () => {
    const ports = Array.from({ length: 30 }, () => ({}))
    expect(serviceIssues({ ports }).issues).toHaveLength(10)
  })
})

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
        for (const { name } of object.ports) if (name !== '') expect(name).toMatch(LABEL)
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
        for (const { name } of object.ports) if (name !== '') expect(name).toMatch(LABEL)
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
        assembleSnapshot([...objects, ...hostile])
      }),
    )
  })
})
