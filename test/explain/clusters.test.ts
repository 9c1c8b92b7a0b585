// Clusters with one defect each, and the finding that must come first; sound ones stand in sound-clusters.test.ts.
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { CLUSTERS, clusterOf, explainIn, readClusterFile, shortForm } from '../support/explained.ts'
import { BROKEN } from './broken-clusters.ts'

function listFiles(group: string): readonly string[] {
  return readdirSync(path.join(CLUSTERS, group)).map((name) => name.replace(/\.yaml$/, ''))
}

describe('a broken cluster', () => {
  test('is expected for every file', () => {
    expect(Object.keys(BROKEN).toSorted()).toEqual(listFiles('broken').toSorted())
    expect(listFiles('broken').length).toBeGreaterThanOrEqual(40)
  })

  test.each(Object.entries(BROKEN))('%s: its defect is what comes first', (name, { first, at, says, ...place }) => {
    const { findings } = explainIn(clusterOf(readClusterFile(`broken/${name}`)), 'default/web', place)
    const [found] = findings
    expect(findings.map(shortForm)[0]).toBe(first)
    expect([found?.at.object, found?.at.field].filter(Boolean).join(' ')).toBe(at)
    expect(`${found?.means} ${found?.advice}`).toMatch(says)
  })
})
