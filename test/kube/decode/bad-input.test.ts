// One row for each kind of bad input: the whole message as a person sees it, and whether the object is still used.
import { describe, expect, it } from 'vitest'
import { assembleSnapshot } from '../../../src/kube/manifests/assemble.ts'
import { parseDocuments } from '../../../src/kube/manifests/documents.ts'
import { formatIssue } from '../../../src/model/issue.ts'
import { AT, serviceIssues, sliceIssues } from '../../support/decoded-issues.ts'
import { rawSlice } from '../../support/raw-objects.ts'

type Fields = Record<string, unknown>

const WEB = 'f.yaml, document 2: Service shop/web'
const SLICE = 'f.yaml, document 2: EndpointSlice shop/web-1'

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
