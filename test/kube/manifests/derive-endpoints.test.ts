import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deriveEndpointSlices } from '../../../src/kube/manifests/derive-endpoints.ts'
import { derive, linesOf, objectsOf, sourcesOf } from '../../support/endpoint-sources.ts'

const POD = `
---
kind: Pod
metadata: {name: a, namespace: ns, labels: {app: web}}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}`
const ENDPOINTS = `
---
kind: Endpoints
metadata: {name: web, namespace: ns}
subsets: [{addresses: [{ip: 10.9.9.9}], ports: [{port: 80}]}]`
const service = (spec: string) => `
kind: Service
metadata: {name: web, namespace: ns}
spec: ${spec}`
const SELECTING = service('{clusterIP: 172.30.0.1, selector: {app: web}, ports: [{port: 80}]}')
const BARE = service('{clusterIP: 172.30.0.1, ports: [{port: 80}]}')

describe('where the endpoints of a Service come from', () => {
  const fromEndpoints = ['ns/web web-derived-ipv4-1 ipv4 /tcp/80: 10.9.9.9 ready serving']
  const fromPods = ['ns/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving']
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['Endpoints come before Pods', SELECTING + POD + ENDPOINTS, 'Endpoints', fromEndpoints],
    ['Endpoints serve a Service without selector', BARE + POD + ENDPOINTS, 'Endpoints', fromEndpoints],
    [
      'Endpoints of another namespace do not count',
      SELECTING + POD + ENDPOINTS.replace('namespace: ns', 'namespace: x'),
      'Pods',
      fromPods,
    ],
    [
      'Endpoints of another name do not count',
      SELECTING + POD + ENDPOINTS.replace('name: web', 'name: webb'),
      'Pods',
      fromPods,
    ],
    ['Pods serve a Service that selects them', SELECTING + POD, 'Pods', fromPods],
    ['Pods do not serve a Service without selector', BARE + POD, 'nothing', []],
    ['no objects give nothing', SELECTING, 'nothing', []],
  ]
  it.each(cases)('%s', (_, manifest, origin, slices) => {
    expect(derive(manifest)).toEqual({ slices, from: { 'ns/web': origin }, issues: [] })
  })

  it('derives nothing for a Service that has slices, and does not look at its Pods', () => {
    const broken = POD.replace('10.0.0.1', 'broken')
    expect(derive(SELECTING + broken + ENDPOINTS, ['ns/web'])).toEqual({ slices: [], from: {}, issues: [] })
  })

  it.each([
    ['headless', '{clusterIP: None, selector: {app: web}, ports: [{port: 80}]}'],
    ['headless by its list of cluster IPs', '{clusterIPs: [None], selector: {app: web}, ports: [{port: 80}]}'],
    ['ExternalName', '{type: ExternalName, externalName: example.com, selector: {app: web}}'],
  ])('derives nothing for a Service that is %s', (_, spec) => {
    expect(derive(service(spec) + POD + ENDPOINTS)).toEqual({ slices: [], from: {}, issues: [] })
  })

  it('says that Pods written before there is a cluster have no address yet', () => {
    const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: nginx, image: nginx, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: debug}
spec: {selector: {app: debug}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: debug, labels: {app: debug}}
spec: {containers: [{name: shell, image: debian}]}`
    expect(derive(manifest)).toEqual({
      slices: [],
      from: { 'default/debug': 'nothing', 'default/web': 'nothing' },
      issues: [
        'notice t.yaml, document 3: Service default/debug spec.selector: matches 1 Pod, none of them running with an IPv4 or IPv6 address, so the Service has no endpoints: give its EndpointSlices, or the Pods with their status while they run',
      ],
    })
  })
})

describe('bad input', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'a Pod with labels that are no text',
      SELECTING + POD.replace('app: web', 'app: web, version: 1'),
      'document 2: Pod ns/a metadata.labels.version: 1 is not text: put it in quotes',
    ],
    [
      'a Pod with a container port out of range',
      `${SELECTING + POD}\nspec: {containers: [{}, {ports: [{containerPort: 70000}]}]}`,
      'document 2: Pod ns/a spec.containers[1].ports[0].containerPort: 70000 is not a port: use a whole number from 1 to 65535, without quotes',
    ],
    [
      'a Pod without a name',
      SELECTING + POD.replace('name: a, ', ''),
      'document 2: Pod ns/(no name) metadata.name: is missing: add it',
    ],
    [
      'a Pod with an address that is none',
      SELECTING + POD.replace('podIP: 10.0.0.1', 'podIPs: [{ip: "10.0.0.1/24"}]'),
      'document 2: Pod ns/a status.podIPs[0].ip: "10.0.0.1/24" is not an IP address: write one such as 10.0.0.1 or fd00::1',
    ],
  ]
  it.each(cases)('reports %s and skips it', (_, manifest, message) => {
    const { slices, issues } = derive(manifest)
    expect(slices).toEqual([])
    expect(issues.filter((issue) => issue.startsWith('error'))).toEqual([`error t.yaml, ${message}`])
  })

  const services: readonly (readonly [string, string, string])[] = [
    ['a selector that is no map', '{selector: web}', 'spec.selector: "web" is not a map: write `key: value` lines'],
    [
      'publishNotReadyAddresses in quotes',
      '{publishNotReadyAddresses: "true"}',
      'spec.publishNotReadyAddresses: "true" is not true or false: write true or false, without quotes',
    ],
    ['a family that there is not', '{ipFamilies: [IPv5]}', 'spec.ipFamilies[0]: is not an IP family: use IPv4 or IPv6'],
    [
      'a target port out of range',
      '{ports: [{port: 80, targetPort: 65536}]}',
      'spec.ports[0].targetPort: 65536 is not a port: use a number from 1 to 65535, without quotes, or the name of a container port',
    ],
    [
      'a number in quotes as target port',
      '{ports: [{port: 80, targetPort: "8080"}]}',
      'spec.ports[0].targetPort: "8080" is not a port: use a number from 1 to 65535, without quotes, or the name of a container port',
    ],
  ]
  it.each(services)('reports a Service with %s', (_, spec, message) => {
    expect(derive(service(spec) + POD)).toEqual({
      slices: [],
      from: {},
      issues: [`error t.yaml, document 1: Service ns/web ${message}`],
    })
  })

  it('leaves fields that the decoder of Services reports to it', () => {
    const spec = '{clusterIP: 5, type: [], selector: {app: web}, ports: [{port: x}, {port: 80, protocol: tcp}]}'
    expect(derive(service(spec) + POD).issues).toEqual([])
    expect(derive(service('5') + POD).issues).toEqual([])
  })

  it('takes the first of two objects with one name, and reports the other', () => {
    expect(derive(SELECTING + ENDPOINTS + ENDPOINTS.replace('10.9.9.9', '10.8.8.8'))).toEqual({
      slices: ['ns/web web-derived-ipv4-1 ipv4 /tcp/80: 10.9.9.9 ready serving'],
      from: { 'ns/web': 'Endpoints' },
      issues: [
        'error t.yaml, document 3: Endpoints ns/web: is given more than once, and the first counts: keep one of them',
      ],
    })
  })
})

const octet = fc.integer({ min: 1, max: 4 })
const app = fc.constantFrom('a', 'b')
const named = (kind: string, value: object) => ({ kind, ...value })
const arbitraryPod = fc
  .record({
    name: octet,
    app,
    ip: octet,
    phase: fc.constantFrom('Running', 'Failed'),
    ready: fc.boolean(),
    port: octet,
  })
  .map((from) =>
    named('Pod', {
      metadata: { name: `pod${from.name}`, labels: { app: from.app } },
      spec: { nodeName: `n${from.ip}`, containers: [{ ports: [{ name: 'http', containerPort: from.port }] }] },
      status: {
        phase: from.phase,
        podIPs: [{ ip: `10.0.0.${from.ip}` }, { ip: `fd00::${from.ip}` }],
        conditions: [{ type: 'Ready', status: from.ready ? 'True' : 'False' }],
      },
    }),
  )
const arbitraryService = fc.record({ name: octet, app }).map((from) =>
  named('Service', {
    metadata: { name: `service${from.name}` },
    spec: { ipFamilies: ['IPv4', 'IPv6'], selector: { app: from.app }, ports: [{ port: 80, targetPort: 'http' }] },
  }),
)
const arbitraryEndpoints = fc.record({ name: octet, ip: octet, ready: fc.boolean() }).map((from) =>
  named('Endpoints', {
    metadata: { name: `service${from.name}` },
    subsets: [
      { [from.ready ? 'addresses' : 'notReadyAddresses']: [{ ip: `10.1.0.${from.ip}` }], ports: [{ port: 1 }] },
    ],
  }),
)

describe('order', () => {
  it('of the input does not matter', () => {
    const values = fc.array(fc.oneof(arbitraryPod, arbitraryPod, arbitraryService, arbitraryEndpoints), {
      maxLength: 20,
    })
    const shuffled = values.chain((list) => {
      const objects = list.map((value, index) => ({ value, at: { source: 't.yaml', document: index + 1 } }))
      return fc.tuple(
        fc.constant(objects),
        fc.shuffledSubarray(objects, { minLength: objects.length, maxLength: objects.length }),
      )
    })
    fc.assert(
      fc.property(shuffled, ([given, moved]) => {
        expect(deriveEndpointSlices(sourcesOf(moved))).toEqual(deriveEndpointSlices(sourcesOf(given)))
      }),
    )
  })

  it('of slices, Services and issues is by name', () => {
    const manifest = `${SELECTING.replace('name: web', 'name: z')}
---${SELECTING.replace('name: web', 'name: b')}
---${SELECTING.replace('namespace: ns', 'namespace: a')}
${POD}`
    const { slices, from } = linesOf(deriveEndpointSlices(sourcesOf(objectsOf(manifest))))
    expect(slices).toEqual([
      'ns/b b-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving',
      'ns/z z-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving',
    ])
    expect(Object.keys(from)).toEqual(['a/web', 'ns/b', 'ns/z'])
  })
})
