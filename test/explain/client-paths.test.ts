// What one client meets at each address of a Service.
import { describe, expect, test } from 'vitest'
import { clusterOf, explainIn, type Place, readClusterFile, shortForm } from '../support/explained.ts'

function paths(file: string, place: Place): readonly string[] {
  const { client } = explainIn(clusterOf(readClusterFile(file)), 'default/web', place)
  return (client?.paths ?? []).map(({ to, outcome, endpoints, seenAs }) =>
    [to, outcome, endpoints.join(','), seenAs].filter(Boolean).join(' | '),
  )
}

const BOTH = '10.244.1.5:8080,10.244.2.5:8080'

describe('a client', () => {
  test('in a Pod of this node is balanced over all endpoints, which see it', () => {
    expect(paths('sound/node-port', { node: 'node1', client: '10.244.1.99' })).toEqual([
      `cluster IP 10.96.0.10:80/tcp | served | ${BOTH} | the client`,
      `node port 30080/tcp | served | ${BOTH} | the node`,
    ])
  })

  test('outside does not get to the cluster IP, and servers see the node', () => {
    expect(paths('sound/node-port', { node: 'node1', client: '203.0.113.9' })).toEqual([
      'cluster IP 10.96.0.10:80/tcp | not routed from there',
      `node port 30080/tcp | served | ${BOTH} | the node`,
    ])
  })

  test('outside is dropped by a node without endpoints under externalTrafficPolicy Local, and a Pod there is not', () => {
    const file = 'broken/external-local-none-here'
    expect(paths(file, { node: 'node2', client: '203.0.113.9' })[1]).toBe('node port 30080/tcp | dropped')
    expect(paths(file, { node: 'node1', client: '203.0.113.9' })[1]).toBe(
      'node port 30080/tcp | served | 10.244.1.5:8080 | the client',
    )
    expect(paths(file, { node: 'node2', client: '10.244.2.99' })[1]).toBe(
      'node port 30080/tcp | served | 10.244.1.5:8080 | the client',
    )
    expect(paths(file, { node: 'node2', client: '192.168.1.12' })[1]).toBe(
      'node port 30080/tcp | served | 10.244.1.5:8080 | the node',
    )
  })

  test('that source ranges leave out gets to the node port all the same', () => {
    expect(paths('broken/client-excluded-by-ranges', { node: 'node1', client: '203.0.113.9' })).toEqual([
      'cluster IP 10.96.0.10:80/tcp | not routed from there',
      'load balancer 203.0.113.80:80/tcp | excluded by source ranges',
      `node port 30080/tcp | served | ${BOTH} | the node`,
    ])
  })

  test('is refused where nobody serves', () => {
    expect(paths('broken/none-ready-without-pods', { node: 'node1', client: '10.244.1.99' })).toEqual([
      'cluster IP 10.96.0.10:80/tcp | refused',
    ])
  })

  test('of another family has no way in', () => {
    expect(paths('broken/client-of-other-family', { node: 'node1', client: 'fd00:244:1::9' })).toEqual([])
  })
})

describe('who a client is', () => {
  const title = (client: string, node?: string) =>
    explainIn(clusterOf(readClusterFile('sound/cluster-ip')), 'default/web', { client, ...(node && { node }) }).client
      ?.title

  test.each([
    ['10.244.1.5', 'Pod default/web-1 on node node1'],
    ['10.244.2.77', 'a Pod on node node2'],
    ['10.244.200.1', 'a Pod'],
    ['192.168.1.12', 'node node2'],
    ['203.0.113.9', 'outside the cluster'],
  ])('%s is %s', (client, expected) => {
    expect(title(client)).toBe(expected)
  })

  test('an address of the node itself', () => {
    expect([title('127.0.0.1', 'node1'), title('192.168.1.11', 'node1')]).toEqual([
      'this node itself',
      'this node itself',
    ])
  })

  test('on another node than the one looked at is told', () => {
    const cluster = clusterOf(readClusterFile('sound/cluster-ip'))
    const { findings } = explainIn(cluster, 'default/web', { node: 'node1', client: '10.244.2.5' })
    expect(findings.map(shortForm)[0]).toBe('warning client-on-other-node')
    expect(findings[0]?.advice).toContain('--node node2')
  })
})
