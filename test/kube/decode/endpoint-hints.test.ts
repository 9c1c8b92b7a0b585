// Hints that the EndpointSlice controller would give to derived endpoints.
import { describe, expect, it } from 'vitest'
import { derive } from '../../support/endpoint-sources.ts'

const NODES = `
---
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: a}}
---
kind: Node
metadata: {name: n2, labels: {topology.kubernetes.io/zone: b}}
---
kind: Node
metadata: {name: n3}`
const service = (spec: string) => `
kind: Service
metadata: {name: web}
spec: ${spec}`
const WEB = service('{clusterIP: 172.30.0.1, selector: {app: web}, ports: [{port: 80}]}')
const NOT_READY = `
---
kind: Pod
metadata: {name: a, labels: {app: web}}
spec: {nodeName: n1}
status: {podIP: 10.0.0.1}`
const serving = (name: string, ip: string, node: string) => `
---
kind: Pod
metadata: {name: ${name}, labels: {app: web}}
spec: {nodeName: ${node}}
status: {podIP: ${ip}, conditions: [{type: Ready, status: "True"}]}`
const hinted = (distribution: string) =>
  service(`{clusterIP: 172.30.0.1, selector: {app: web}, trafficDistribution: ${distribution}, ports: [{port: 80}]}`)
const PODS = serving('a', '10.0.0.1', 'n1') + serving('b', '10.0.0.2', 'n2') + serving('c', '10.0.0.3', 'n3')

describe('topology hints', () => {
  it.each(['PreferClose', 'PreferSameZone'])('%s hints each ready endpoint for the zone of its own node', (value) => {
    expect(derive(hinted(value) + PODS + NODES).slices).toEqual([
      'default/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving node=n1 zones=a, 10.0.0.2 ready serving node=n2 zones=b, 10.0.0.3 ready serving node=n3',
    ])
  })

  it('PreferSameNode hints each ready endpoint for its node, too', () => {
    expect(derive(hinted('PreferSameNode') + PODS + NODES).slices).toEqual([
      'default/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving node=n1 zones=a nodes=n1, 10.0.0.2 ready serving node=n2 zones=b nodes=n2, 10.0.0.3 ready serving node=n3 nodes=n3',
    ])
  })

  it('gives an endpoint that is not ready no hints', () => {
    expect(derive(hinted('PreferSameNode') + NODES + NOT_READY).slices).toEqual([
      'default/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 node=n1',
    ])
  })

  it('gives no hints without trafficDistribution', () => {
    expect(derive(WEB + NODES + serving('a', '10.0.0.1', 'n1')).slices).toEqual([
      'default/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving node=n1',
    ])
  })

  it('gives no hints for a trafficDistribution that the API does not have, and says so', () => {
    expect(derive(hinted('Nearby') + NODES + serving('a', '10.0.0.1', 'n1'))).toEqual({
      slices: ['default/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving node=n1'],
      from: { 'default/web': 'Pods' },
      issues: [
        'notice t.yaml, document 1: Service default/web spec.trafficDistribution: is not known and gives no hints: use PreferSameZone, PreferSameNode or PreferClose',
      ],
    })
  })

  it('gives no hints in topology mode Auto, which overrides trafficDistribution, and says so', () => {
    const manifest = `
kind: Service
metadata: {name: web, annotations: {service.kubernetes.io/topology-mode: Auto}}
spec: {clusterIP: 172.30.0.1, selector: {app: web}, trafficDistribution: PreferClose, ports: [{port: 80}]}
${NODES}${serving('a', '10.0.0.1', 'n1')}`
    const { slices, issues } = derive(manifest)
    expect(slices).toEqual(['default/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving node=n1'])
    expect(issues).toEqual([expect.stringContaining('topology mode Auto gives no hints here')])
  })
})
