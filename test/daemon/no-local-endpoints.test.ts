import { expect, test } from 'vitest'
import { countNoLocalEndpoints } from '../../src/daemon/no-local-endpoints.ts'
import { assembleSnapshot, compile, defaultProxyConfig, describeNode, parseDocuments } from '../../src/index.ts'

const LOCAL = 'internalTrafficPolicy: Local'
const BALANCED = 'type: LoadBalancer, externalTrafficPolicy: Local'

test.each<[string, string, string, { internal: number; external: number }]>([
  ['policy Local, endpoint elsewhere', LOCAL, 'node2', { internal: 1, external: 0 }],
  ['policy Local, endpoint here', LOCAL, 'node1', { internal: 0, external: 0 }],
  ['policy Cluster, endpoint elsewhere', 'type: ClusterIP', 'node2', { internal: 0, external: 0 }],
  ['external policy Local and a node port', `${BALANCED}, PORT`, 'node2', { internal: 0, external: 1 }],
  ['external policy Local that nobody can reach', BALANCED, 'node2', { internal: 0, external: 0 }],
  ['both policies', `${BALANCED}, ${LOCAL}, PORT`, 'node2', { internal: 1, external: 1 }],
  ['both policies, without endpoints', `${BALANCED}, ${LOCAL}, PORT`, '', { internal: 0, external: 0 }],
])('%s', (_, spec, endpointNode, expected) => {
  const nodePort = spec.includes('PORT') ? ', nodePort: 30080' : ''
  const endpoints = endpointNode === '' ? '' : `{ addresses: [10.0.0.1], nodeName: ${endpointNode} }`
  const text = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: ns1 }
spec: { clusterIP: 172.30.0.1, clusterIPs: [172.30.0.1], ports: [{ port: 80${nodePort} }], ${spec.replace(', PORT', '')} }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: ns1, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: '', port: 8080 }]
endpoints: [${endpoints}]
`
  const { snapshot, issues } = assembleSnapshot(parseDocuments(text, 'test').objects)
  expect(issues.filter(({ severity }) => severity === 'error')).toEqual([])
  const config = defaultProxyConfig()
  const { facts } = describeNode('node1', undefined, config, undefined)
  expect(countNoLocalEndpoints(compile(snapshot, config, facts, 'ipv4').servicePorts)).toEqual(expected)
})
