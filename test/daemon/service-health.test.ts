// Health check node ports: counting and bodies (spec 5, section 11.1), against everything that was recorded.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createHealthCheckFinder, healthCheckAddresses, printServiceHealth } from '../../src/daemon/service-health.ts'
import { assembleSnapshot } from '../../src/index.ts'
import { splitHostPort } from '../../src/kube/config/host-port.ts'
import { parseDocuments } from '../../src/kube/manifests/documents.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { listCases, readCase } from '../support/golden-case.ts'

const recorded = listCases().filter((name) => name.startsWith('recorded/'))

test('there are recorded cases', () => {
  expect(recorded.length).toBeGreaterThan(100)
})

describe.each(recorded)('%s', (name) => {
  const { snapshot, config, node, folder } = readCase(name)
  const engines = FAMILIES.map((family) => {
    const checks = createHealthCheckFinder(family, node.name)(snapshot.services)
    const addresses = healthCheckAddresses(config, node, family)
    return { family, checks, addresses, listens: addresses === 'any' || addresses.length > 0 }
  })
  const read = (file: string) => readFileSync(path.join(folder, 'iptables', file), 'utf8')

  test('listens on the recorded ports', () => {
    const own = [config.healthzBindAddress, config.metricsBindAddress].map((address) => splitHostPort(address)?.port)
    const health = engines.filter(({ listens }) => listens).flatMap(({ checks }) => [...checks.values()])
    const ports = new Set([...own, ...health.map(({ port }) => String(port))])
    expect(ports).toEqual(new Set(read('listening').trim().split('\n')))
  })

  test('gives the recorded answers on 127.0.0.1, on these ports and no others', () => {
    const health = engines.filter(({ listens }) => listens).flatMap(({ checks }) => [...checks.values()])
    const answers = Object.fromEntries(health.map(({ port }) => [port, answerOn(port)]))
    // A case without such ports has no file.
    const file = path.join(folder, 'iptables', 'healthcheck')
    expect(answers).toEqual(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {})
  })

  function answerOn(port: number): string {
    const ipv4 = engines.find(({ family }) => family === 'ipv4')
    const check = [...(ipv4?.checks ?? [])].find(([, candidate]) => candidate.port === port)
    const reachable = ipv4?.addresses === 'any' || ipv4?.addresses.some((ip) => ip.startsWith('127.'))
    if (check === undefined || !reachable) return ''
    const [service, { localEndpoints }] = check
    const { status, headers, body } = printServiceHealth(service, localEndpoints, true)
    const lines = [...headers, ['Content-Length', Buffer.byteLength(body)]].map(([key, value]) => `${key}: ${value}\n`)
    return `HTTP/1.1 ${status} ${status === 200 ? 'OK' : 'Service Unavailable'}\n${lines.join('')}\n${body}`
  }
})

describe('counting', () => {
  const count = (spec: string, ...slices: readonly string[]) => {
    const { objects } = parseDocuments([serviceText(spec), ...slices].join('\n---\n'), 'test')
    const { snapshot, issues } = assembleSnapshot(objects)
    expect(issues.filter(({ severity }) => severity === 'error')).toEqual([])
    return createHealthCheckFinder('ipv4', 'node1')(snapshot.services).get('ns1/web')
  }

  test('one Pod with two ports counts once', () => {
    const two = slice('a', ['{ name: p80, port: 80 }', '{ name: p81, port: 81 }'], ['10.0.0.1'])
    expect(count(BALANCED, two)).toEqual({ port: 30999, localEndpoints: 1 })
  })

  test('ready endpoints count, terminating ones that still get traffic do not', () => {
    const terminating = 'conditions: { ready: false, serving: true, terminating: true }'
    expect(count(BALANCED, slice('a', ['{ name: p80, port: 80 }'], ['10.0.0.1'], terminating))?.localEndpoints).toBe(0)
  })

  test('endpoints of other nodes do not count', () => {
    const elsewhere = slice('a', ['{ name: p80, port: 80 }'], ['10.0.0.1', '10.0.0.2']).replace('node1', 'node2')
    expect(count(BALANCED, elsewhere)?.localEndpoints).toBe(1)
  })

  test('endpoints of ports that the Service does not have count', () => {
    expect(count(BALANCED, slice('a', ['{ name: other, port: 99 }'], ['10.0.0.7']))?.localEndpoints).toBe(1)
  })

  test.each([
    ['another type', BALANCED.replace('LoadBalancer', 'NodePort')],
    ['policy Cluster', BALANCED.replace('Policy: Local', 'Policy: Cluster')],
    ['no port', BALANCED.replace('healthCheckNodePort: 30999', '')],
    ['no address of the family', BALANCED.replaceAll('172.30.0.1', 'fd00::1')],
  ])('a Service with %s has none', (_, spec) => {
    expect(count(spec)).toBeUndefined()
  })
})

test('namespace and name stand as two members, indented by tabs', () => {
  const { status, body } = printServiceHealth('a/b', 2, true)
  expect([status, body]).toEqual([
    200,
    '{\n\t"service": {\n\t\t"namespace": "a",\n\t\t"name": "b"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
  ])
  expect(printServiceHealth('a/b', 2, false).status).toBe(503)
})

const BALANCED = `{ type: LoadBalancer, clusterIP: 172.30.0.1, clusterIPs: [172.30.0.1], externalTrafficPolicy: Local, healthCheckNodePort: 30999, ports: [{ name: p80, port: 80 }] }`

function serviceText(spec: string): string {
  return `apiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: ns1 }\nspec: ${spec}`
}

function slice(name: string, ports: readonly string[], ips: readonly string[], more = ''): string {
  const endpoints = ips.map((ip) => `{ addresses: [${ip}], nodeName: node1${more && `, ${more}`} }`)
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}, namespace: ns1, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [${ports.join(', ')}]
endpoints: [${endpoints.join(', ')}]`
}
