// The matrix of kube-proxy's clean-up, and the cases that it gets wrong.
import { describe, expect, test } from 'vitest'
import { type Ip, parseIp } from '../../src/model/address.ts'
import type { Endpoint, ServicePort } from '../../src/model/service-port.ts'
import { needsConntrackCleanUp, staleFlows } from '../../src/sync/conntrack.ts'
import type { ConntrackFlow } from '../../src/sync/conntrack-flow.ts'

const SERVING = endpoint('10.240.0.4', 9090)
const NOT_SERVING = { ...endpoint('10.240.1.5', 9090), ready: false, serving: false }

const DNS = servicePort({
  clusterIP: ip('172.30.1.1'),
  port: 8000,
  nodePort: 32000,
  externalIPs: [ip('192.168.99.100')],
  loadBalancerIPs: [ip('1.2.3.4')],
  endpoints: [SERVING, NOT_SERVING],
})

describe('while an endpoint serves', () => {
  test.each([
    ['172.30.1.1:8000', '10.240.0.4:9090', false, 'the serving endpoint'],
    ['172.30.1.1:8000', '10.240.0.4:8080', true, 'its port of before'],
    ['172.30.1.1:8000', '10.240.1.5:9090', true, 'an endpoint that does not serve'],
    ['1.2.3.4:8000', '10.240.2.6:9090', true, 'an endpoint that is gone, by load-balancer IP'],
    ['1.2.3.4:8000', '10.240.0.4:9090', false, 'the serving endpoint, by load-balancer IP'],
    ['192.168.99.100:8000', '10.240.2.6:9090', true, 'an endpoint that is gone, by external IP'],
    ['10.0.0.1:32000', '10.240.2.6:9090', true, 'an endpoint that is gone, by node port'],
    ['10.0.0.1:32000', '10.240.0.4:9090', false, 'the serving endpoint, by node port'],
    ['8.8.8.8:32000', '8.8.8.8:32000', true, "a foreign host's port that is the node port (as kube-proxy does)"],
    ['172.30.1.1:8000', '172.30.1.1:8000', true, 'the cluster IP itself, from before there was a rule'],
    ['172.30.1.1:3000', '10.240.2.6:9090', false, 'another port of the cluster IP'],
    ['172.30.1.2:8000', '10.240.2.6:9090', false, "another Service's cluster IP"],
  ])('a flow to %s that %s answers: stale is %s (%s)', (to, from, stale) => {
    const entry = flow(to, from)
    expect(staleFlows([], [DNS], [entry])).toEqual(stale ? [entry] : [])
    expect(staleFlows([DNS], [DNS], [entry])).toEqual(stale ? [entry] : [])
  })

  test('terminating endpoints that serve keep their flows', () => {
    const port = servicePort({ endpoints: [SERVING, { ...NOT_SERVING, serving: true, terminating: true }] })
    expect(staleFlows([], [port], [flow('172.30.1.1:8000', '10.240.1.5:9090')])).toEqual([])
  })

  test('endpoints of other nodes keep their flows under policy Local', () => {
    const port = servicePort({ endpoints: [{ ...SERVING, local: false }], internalPolicy: 'Local' })
    expect(staleFlows([], [port], [flow('172.30.1.1:8000', '10.240.0.4:9090')])).toEqual([])
  })

  test('ports of other protocols have no part in it', () => {
    const tcp: ServicePort = { ...DNS, protocol: 'tcp' }
    expect(staleFlows([tcp], [tcp], [flow('172.30.1.1:8000', '10.240.2.6:9090')])).toEqual([])
    expect(staleFlows([tcp], [], [flow('172.30.1.1:8000', '10.240.0.4:9090')])).toEqual([])
  })

  test('an address decides before a node port of the same number', () => {
    const other = servicePort({
      name: 'ns1/other:p',
      clusterIP: ip('172.30.9.9'),
      port: 32000,
      endpoints: [NOT_SERVING],
    })
    const entry = flow('172.30.9.9:32000', '10.240.1.5:9090')
    expect(staleFlows([], [DNS, other], [entry])).toEqual([])
  })

  test('a flow that either of two Services with one external IP keeps is kept', () => {
    const claims = { externalIPs: [ip('192.168.99.100')], port: 8000 }
    const other = servicePort({
      ...claims,
      name: 'ns1/b:p',
      clusterIP: ip('172.30.9.9'),
      endpoints: [endpoint('10.240.3.3', 53)],
    })
    const entries = [flow('192.168.99.100:8000', '10.240.3.3:53'), flow('192.168.99.100:8000', '10.240.0.4:9090')]
    expect(staleFlows([], [DNS, other], entries)).toEqual([])
    expect(staleFlows([], [other, DNS], entries)).toEqual([])
  })

  test('IPv6 works alike', () => {
    const port = servicePort({ clusterIP: ip('fd00::1'), port: 53, endpoints: [endpoint('fd00:10::4', 53)] })
    const live = flow('[fd00::1]:53', '[fd00:10::4]:53')
    const stale = flow('[fd00::1]:53', '[fd00:10::5]:53')
    expect(staleFlows([], [port], [live, stale])).toEqual([stale])
  })
})

describe('what kube-proxy gets wrong', () => {
  test('flows to endpoints that are gone go when a Service is scaled to zero', () => {
    const empty = servicePort({ nodePort: 32000, endpoints: [] })
    const entries = [flow('172.30.1.1:8000', '10.240.0.4:9090'), flow('10.0.0.1:32000', '10.240.0.4:9090')]
    expect(staleFlows([DNS], [empty], entries)).toEqual(entries)
    expect(staleFlows([], [empty], entries)).toEqual(entries)
  })

  test('endpoints that are there and not serving keep their flows while none serves', () => {
    const port = servicePort({ endpoints: [NOT_SERVING] })
    const kept = flow('172.30.1.1:8000', '10.240.1.5:9090')
    const gone = flow('172.30.1.1:8000', '10.240.0.4:9090')
    expect(staleFlows([DNS], [port], [kept, gone])).toEqual([gone])
  })

  test('a foreign flow with the number of a node port is kept while nothing serves there', () => {
    const port = servicePort({ nodePort: 32000, endpoints: [] })
    expect(staleFlows([DNS], [port], [flow('8.8.8.8:32000', '8.8.8.8:32000')])).toEqual([])
  })

  test('flows to endpoints of a deleted Service go, and only these', () => {
    const mine = [
      flow('172.30.1.1:8000', '10.240.0.4:9090'),
      flow('172.30.1.1:8000', '10.240.1.5:9090'),
      flow('10.0.0.1:32000', '10.240.0.4:9090'),
    ]
    const foreign = [flow('10.0.0.1:32000', '10.9.9.9:1'), flow('8.8.8.8:32000', '8.8.8.8:32000')]
    expect(staleFlows([DNS], [], [...mine, ...foreign])).toEqual(mine)
  })

  test('flows by an external IP that the Service no longer has go, others stay', () => {
    const { externalIPs: _, ...rest } = DNS
    const without: ServicePort = { ...rest, externalIPs: [] }
    const by = flow('192.168.99.100:8000', '10.240.0.4:9090')
    const kept = flow('172.30.1.1:8000', '10.240.0.4:9090')
    expect(staleFlows([DNS], [without], [by, kept])).toEqual([by])
  })

  test('the first clean-up after a start keeps every live flow, and removes those whose endpoint is gone', () => {
    const live = [flow('172.30.1.1:8000', '10.240.0.4:9090'), flow('10.0.0.1:32000', '10.240.0.4:9090')]
    const gone = flow('172.30.1.1:8000', '10.240.7.7:9090')
    expect(staleFlows([], [DNS], [...live, gone])).toEqual([gone])
  })
})

describe('clean-up is needed', () => {
  test.each([
    ['at start-up with a UDP port', [], [DNS], true],
    ['at start-up without one', [], [{ ...DNS, protocol: 'tcp' as const }], false],
    ['when nothing changed', [DNS], [DNS], false],
    ['when only the object is another', [DNS], [{ ...DNS }], false],
    ['when affinity changed', [DNS], [{ ...DNS, affinitySeconds: 10 }], false],
    ['when an endpoint went', [DNS], [withEndpoints(DNS, [NOT_SERVING])], true],
    [
      'when an endpoint stopped serving',
      [DNS],
      [withEndpoints(DNS, [{ ...SERVING, serving: false }, NOT_SERVING])],
      true,
    ],
    ['when an endpoint became ready', [DNS], [withEndpoints(DNS, [{ ...SERVING, ready: false }, NOT_SERVING])], false],
    ['when a Service came', [DNS], [DNS, { ...DNS, name: 'ns1/new:p' }], true],
    ['when a Service went', [DNS], [], true],
    ['when a node port changed', [DNS], [{ ...DNS, nodePort: 32001 }], true],
    ['when an external IP went', [DNS], [{ ...DNS, externalIPs: [] }], true],
  ])('%s', (_, before, after, expected) => {
    expect(needsConntrackCleanUp(before, after)).toBe(expected)
  })
})

function servicePort(
  given: Omit<Partial<ServicePort>, 'endpoints'> & { readonly endpoints: readonly Endpoint[] },
): ServicePort {
  return {
    service: 'ns1/dns',
    name: 'ns1/dns:p',
    protocol: 'udp',
    family: 'ipv4',
    clusterIP: ip('172.30.1.1'),
    port: 8000,
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRanges: [],
    nodeInSourceRanges: false,
    internalPolicy: 'Cluster',
    externalPolicy: 'Cluster',
    externallyAccessible: true,
    internal: { kind: 'reject' },
    external: { kind: 'reject' },
    ...given,
    endpoints: lists(given.endpoints),
  }
}

function withEndpoints(port: ServicePort, endpoints: readonly Endpoint[]): ServicePort {
  return { ...port, endpoints: lists(endpoints) }
}

function lists(udp: readonly Endpoint[]): ServicePort['endpoints'] {
  return { cluster: [], local: [], reachable: [], known: udp.length, udp }
}

function endpoint(address: string, port: number): Endpoint {
  const text = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  return { text, ip: ip(address), port, ready: true, serving: true, terminating: false, local: true }
}

function flow(to: string, from: string): ConntrackFlow {
  const destination = split(to)
  const source = split(from)
  return {
    protocol: 'udp',
    original: {
      source: ip('10.0.9.9'),
      sourcePort: 4444,
      destination: destination.ip,
      destinationPort: destination.port,
    },
    reply: { source: source.ip, sourcePort: source.port, destination: ip('10.0.9.9'), destinationPort: 4444 },
  }
}

function split(text: string): { readonly ip: Ip; readonly port: number } {
  const colon = text.lastIndexOf(':')
  return { ip: ip(text.slice(0, colon).replace(/[[\]]/g, '')), port: Number(text.slice(colon + 1)) }
}

function ip(text: string): Ip {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}
