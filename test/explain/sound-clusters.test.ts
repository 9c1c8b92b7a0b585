// Sound clusters, in which nothing is found; broken ones stand in clusters.test.ts.
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { CLUSTERS, clusterOf, explainIn, type Place, readClusterFile } from '../support/explained.ts'

/** Where a sound cluster is looked at from; `node1` for the others. */
const SOUND: Readonly<Record<string, Place>> = {
  'without-nodes-in-input': {},
  'load-balancer-local-other-nodes': { node: 'node2' },
  'node-port-restricted': { node: 'node1', flags: { 'nodeport-addresses': '192.168.1.0/24' } },
  'source-ranges': { node: 'node1', client: '198.51.100.7' },
  'client-pod': { node: 'node1', client: '10.244.1.99', to: '10.96.0.10:80' },
  'client-is-endpoint': { node: 'node1', client: '10.244.1.5' },
  'tried-right-port': { node: 'node1', to: '10.96.0.10:80' },
}

function listFiles(group: string): readonly string[] {
  return readdirSync(path.join(CLUSTERS, group)).map((name) => name.replace(/\.yaml$/, ''))
}

describe('a sound cluster', () => {
  test('there are as many of them', () => {
    expect(listFiles('sound').length).toBeGreaterThanOrEqual(40)
    expect(listFiles('sound')).toEqual(expect.arrayContaining(Object.keys(SOUND)))
  })

  test.each(listFiles('sound'))('%s: nothing is found that is worse than a notice', (name) => {
    const cluster = clusterOf(readClusterFile(`sound/${name}`))
    const place = SOUND[name] ?? { node: 'node1' }
    for (const { key } of cluster.services) {
      const { findings } = explainIn(cluster, key, place)
      expect(findings.filter(({ severity }) => severity !== 'notice').map(({ means }) => means)).toEqual([])
    }
  })

  test.each(listFiles('sound'))('%s: the same without a particular node', (name) => {
    const cluster = clusterOf(readClusterFile(`sound/${name}`))
    const { node: _, ...place } = SOUND[name] ?? {}
    for (const { key } of cluster.services) {
      const { findings } = explainIn(cluster, key, place)
      expect(findings.filter(({ severity }) => severity !== 'notice').map(({ means }) => means)).toEqual([])
    }
  })
})
