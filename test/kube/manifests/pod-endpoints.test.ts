import { describe, expect, it } from 'vitest'
import { derive } from '../../support/endpoint-sources.ts'

const RUNNING = '{phase: Running, podIPs: [{ip: 10.0.0.1}], conditions: [{type: Ready, status: "True"}]}'

/** A Pod of the default namespace that the Services here select. */
function pod(name: string, status: string): string {
  return `
---
kind: Pod
metadata: {name: ${name}, labels: {app: web, tier: front}}
spec: {nodeName: n1}
status: ${status}`
}

function service(spec: string): string {
  return `
---
kind: Service
metadata: {name: web, namespace: default}
spec: ${spec}`
}

const podWith = (first: string, second = '{}') => `
---
kind: Pod
metadata: {name: a, labels: {app: web}}
spec: {containers: [${first}, ${second}]}
status: {podIP: 10.0.0.1}`

const numbered = (name: string, ip: string, port: number) => `
---
kind: Pod
metadata: {name: ${name}, labels: {app: web}}
spec: {containers: [{ports: [{name: http, containerPort: ${port}}]}]}
status: {podIP: ${ip}}`

const WEB = service('{clusterIP: 172.30.0.1, selector: {app: web}, ports: [{port: 80}]}')
const NOT_READY_WANTED = service(
  '{clusterIP: 172.30.0.1, selector: {app: web}, publishNotReadyAddresses: true, ports: [{port: 80}]}',
)
const POD_LEAVING = `
---
kind: Pod
metadata: {name: a, labels: {app: web}, deletionTimestamp: "2026-11-20T00:00:00Z"}
spec: {nodeName: n1}
status: ${RUNNING}`

describe('conditions of an endpoint', () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['a Pod whose Ready condition is True is ready', WEB + pod('a', RUNNING), ['10.0.0.1 ready serving node=n1']],
    [
      'a Pod whose Ready condition is False is not ready',
      WEB + pod('a', '{podIP: 10.0.0.1, conditions: [{type: Ready, status: "False"}]}'),
      ['10.0.0.1 node=n1'],
    ],
    ['a Pod without a Ready condition is not ready', WEB + pod('a', '{podIP: 10.0.0.1}'), ['10.0.0.1 node=n1']],
    [
      'conditions other than Ready do not count',
      WEB + pod('a', '{podIP: 10.0.0.1, conditions: [{type: ContainersReady, status: "True"}]}'),
      ['10.0.0.1 node=n1'],
    ],
    ['a terminating Pod that serves is not ready', WEB + POD_LEAVING, ['10.0.0.1 serving terminating node=n1']],
    [
      'publishNotReadyAddresses makes a Pod ready that does not serve',
      NOT_READY_WANTED + pod('a', '{podIP: 10.0.0.1}'),
      ['10.0.0.1 ready node=n1'],
    ],
    [
      'publishNotReadyAddresses makes even a terminating Pod ready',
      NOT_READY_WANTED + POD_LEAVING,
      ['10.0.0.1 ready serving terminating node=n1'],
    ],
    ['a Pod that has succeeded has no endpoint', WEB + pod('a', RUNNING.replace('Running', 'Succeeded')), []],
    ['a Pod that has failed has no endpoint', NOT_READY_WANTED + pod('a', RUNNING.replace('Running', 'Failed')), []],
    ['a Pod without an address has no endpoint', WEB + pod('a', '{phase: Pending}'), []],
    [
      'null is the same as absent',
      WEB + pod('a', '{podIPs: null, podIP: 10.0.0.1, conditions: null}'),
      ['10.0.0.1 node=n1'],
    ],
  ]
  it.each(cases)('%s', (_, manifest, endpoints) => {
    const expected = endpoints.map((text) => `default/web web-derived-ipv4-1 ipv4 /tcp/80: ${text}`)
    expect(derive(manifest).slices).toEqual(expected)
  })
})

describe('addresses and families', () => {
  const both = '{podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::0001"}]}'
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    [
      'ipFamilies give a slice for each family, with the text of the address in canonical form',
      '{clusterIP: 172.30.0.1, ipFamilies: [IPv6, IPv4], selector: {app: web}, ports: [{port: 80}]}',
      both,
      ['web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 node=n1', 'web-derived-ipv6-1 ipv6 /tcp/80: fd00::1 node=n1'],
    ],
    [
      'ipFamilies come before the cluster IP',
      '{clusterIP: 172.30.0.1, ipFamilies: [IPv6], selector: {app: web}, ports: [{port: 80}]}',
      both,
      ['web-derived-ipv6-1 ipv6 /tcp/80: fd00::1 node=n1'],
    ],
    [
      'without ipFamilies the family is that of the cluster IP',
      '{clusterIP: "fd00:1::1", selector: {app: web}, ports: [{port: 80}]}',
      both,
      ['web-derived-ipv6-1 ipv6 /tcp/80: fd00::1 node=n1'],
    ],
    [
      'without ipFamilies two cluster IPs give both families',
      '{clusterIP: 172.30.0.1, clusterIPs: [172.30.0.1, "fd00:1::1"], selector: {app: web}, ports: [{port: 80}]}',
      both,
      ['web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 node=n1', 'web-derived-ipv6-1 ipv6 /tcp/80: fd00::1 node=n1'],
    ],
    [
      'without any cluster IP both families are derived',
      '{selector: {app: web}, ports: [{port: 80}]}',
      both,
      ['web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 node=n1', 'web-derived-ipv6-1 ipv6 /tcp/80: fd00::1 node=n1'],
    ],
    [
      'of several addresses of one family the first counts',
      '{clusterIP: 172.30.0.1, selector: {app: web}, ports: [{port: 80}]}',
      '{podIPs: [{ip: 10.0.0.9}, {ip: 10.0.0.1}]}',
      ['web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.9 node=n1'],
    ],
    [
      'podIP counts alone when podIPs is empty',
      '{clusterIP: 172.30.0.1, selector: {app: web}, ports: [{port: 80}]}',
      '{podIP: 010.0.0.1}',
      ['web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 node=n1'],
    ],
    [
      'podIP counts alone when podIPs starts with another address',
      '{clusterIP: 172.30.0.1, selector: {app: web}, ports: [{port: 80}]}',
      '{podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.1}]}',
      ['web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.2 node=n1'],
    ],
  ]
  it.each(cases)('%s', (_, spec, status, expected) => {
    expect(derive(service(spec) + pod('a', status)).slices).toEqual(expected.map((line) => `default/web ${line}`))
  })

  it('gives Pods in the host network the address of their node as it is, the ready one last', () => {
    const manifest = `${WEB}
---
kind: Pod
metadata: {name: a, labels: {app: web}}
spec: {nodeName: n1, hostNetwork: true}
status: {podIP: 192.168.0.1, hostIP: 192.168.0.1, conditions: [{type: Ready, status: "True"}]}
---
kind: Pod
metadata: {name: b, labels: {app: web}}
spec: {nodeName: n1, hostNetwork: true}
status: {podIP: 192.168.0.1, hostIP: 192.168.0.1}`
    expect(derive(manifest).slices).toEqual([
      'default/web web-derived-ipv4-1 ipv4 /tcp/80: 192.168.0.1 node=n1, 192.168.0.1 ready serving node=n1',
    ])
  })

  it('counts a Pod whose Node is not in the input, and a Pod without one', () => {
    const manifest = `${WEB}
---
kind: Pod
metadata: {name: a, labels: {app: web}}
spec: {nodeName: elsewhere}
status: ${RUNNING}
---
kind: Pod
metadata: {name: b, labels: {app: web}}
status: {podIP: 10.0.0.2}`
    expect(derive(manifest).slices).toEqual([
      'default/web web-derived-ipv4-1 ipv4 /tcp/80: 10.0.0.1 ready serving node=elsewhere, 10.0.0.2',
    ])
  })
})

describe('ports', () => {
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['no targetPort means the port itself', '{port: 80}', podWith('{}'), '/tcp/80'],
    ['targetPort 0 means the port itself', '{port: 80, targetPort: 0}', podWith('{}'), '/tcp/80'],
    ['an empty targetPort means the port itself', '{port: 80, targetPort: ""}', podWith('{}'), '/tcp/80'],
    ['a number is taken as it is', '{port: 80, targetPort: 8080}', podWith('{}'), '/tcp/8080'],
    [
      'a name is looked up in all containers',
      '{port: 80, targetPort: http}',
      podWith('{ports: [{containerPort: 1}]}', '{ports: [{name: http, containerPort: 8080}]}'),
      '/tcp/8080',
    ],
    [
      'the first container with the name counts',
      '{port: 80, targetPort: http}',
      podWith('{ports: [{name: http, containerPort: 1}]}', '{ports: [{name: http, containerPort: 2}]}'),
      '/tcp/1',
    ],
    [
      'a name counts only with the protocol of the port',
      '{port: 53, protocol: UDP, targetPort: dns}',
      podWith('{ports: [{name: dns, containerPort: 1}, {name: dns, containerPort: 2, protocol: UDP}]}'),
      '/udp/2',
    ],
    [
      'an init container that keeps running is looked up last',
      '{port: 80, targetPort: http}',
      `
---
kind: Pod
metadata: {name: a, labels: {app: web}}
spec:
  initContainers:
  - {ports: [{name: http, containerPort: 1}]}
  - {restartPolicy: Always, ports: [{name: http, containerPort: 2}]}
  containers: [{ports: [{name: other, containerPort: 3}]}]
status: {podIP: 10.0.0.1}`,
      '/tcp/2',
    ],
    [
      'several ports stand in one slice',
      '{name: s, port: 443, protocol: SCTP}, {name: http, port: 80, targetPort: 8080}, {name: dns, port: 53, protocol: UDP}',
      podWith('{}'),
      'dns/udp/53 http/tcp/8080 s/sctp/443',
    ],
    [
      'a name that the Pod lacks is left out of its ports',
      '{name: http, port: 80, targetPort: http}, {name: admin, port: 81, targetPort: admin}',
      podWith('{ports: [{name: http, containerPort: 8080}]}'),
      'http/tcp/8080',
    ],
    [
      'a Pod that lacks all names stands in a slice without ports, where nothing uses it',
      '{name: http, port: 80, targetPort: http}',
      podWith('{}'),
      '(no port)',
    ],
    ['a Service without ports has slices without ports', '', podWith('{}'), '(no port)'],
  ]
  it.each(cases)('%s', (_, ports, pods, expected) => {
    const manifest = service(`{clusterIP: 172.30.0.1, selector: {app: web}, ports: [${ports}]}`) + pods
    expect(derive(manifest)).toEqual({
      slices: [`default/web web-derived-ipv4-1 ipv4 ${expected}: 10.0.0.1`],
      from: { 'default/web': 'Pods' },
      issues: [],
    })
  })

  it('gives Pods with different numbers for a name slices of their own', () => {
    const spec = '{clusterIP: 172.30.0.1, selector: {app: web}, ports: [{name: p80, port: 80, targetPort: http}]}'
    const manifest =
      service(spec) +
      numbered('c', '10.0.0.3', 8080) +
      numbered('b', '10.0.0.2', 9090) +
      numbered('a', '10.0.0.1', 8080)
    expect(derive(manifest).slices).toEqual([
      'default/web web-derived-ipv4-1 ipv4 p80/tcp/8080: 10.0.0.1, 10.0.0.3',
      'default/web web-derived-ipv4-2 ipv4 p80/tcp/9090: 10.0.0.2',
    ])
  })
})

describe('which Pods a Service selects', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['all labels of the selector must match', '{app: web, tier: front}', true],
    ['one label that differs is enough to rule a Pod out', '{app: web, tier: back}', false],
    ['a label that the Pod lacks rules it out', '{app: web, track: canary}', false],
    ['an empty selector selects nothing', '{}', false],
    ['null selects nothing', 'null', false],
  ]
  it.each(cases)('%s', (_, selector, selected) => {
    const manifest = service(`{clusterIP: 172.30.0.1, selector: ${selector}, ports: [{port: 80}]}`) + pod('a', RUNNING)
    expect(derive(manifest).from).toEqual({ 'default/web': selected ? 'Pods' : 'nothing' })
  })

  it('leaves out Pods of other namespaces', () => {
    const manifest = `${WEB}
---
kind: Pod
metadata: {name: a, namespace: other, labels: {app: web}}
status: ${RUNNING}`
    expect(derive(manifest)).toEqual({ slices: [], from: { 'default/web': 'nothing' }, issues: [] })
  })
})
