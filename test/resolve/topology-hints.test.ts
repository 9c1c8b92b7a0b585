import { describe, expect, test } from 'vitest'
import type { SliceEndpoint } from '../../src/model/snapshot.ts'
import { collectEndpoints, resolveEndpoints } from '../../src/resolve/endpoints.ts'
import { A, B, LAST_RESORT, NOT_READY, READY, slice } from '../support/slice-endpoints.ts'

describe('topology hints', () => {
  const hinted = (given: Pick<SliceEndpoint, 'zoneHints' | 'nodeHints'>, place: typeof A) => ({
    ...place,
    ...READY,
    ...given,
  })

  test.each([
    ['for this zone are followed', [hinted({ zoneHints: ['za'] }, A), hinted({ zoneHints: ['zb'] }, B)], ['a']],
    [
      'for several zones count for each',
      [hinted({ zoneHints: ['zb', 'za'] }, A), hinted({ zoneHints: ['zb'] }, B)],
      ['a'],
    ],
    [
      'for other zones alone are passed over',
      [hinted({ zoneHints: ['zb'] }, A), hinted({ zoneHints: ['zb'] }, B)],
      ['a', 'b'],
    ],
    ['are passed over when a ready endpoint has none', [hinted({ zoneHints: ['za'] }, A), hinted({}, B)], ['a', 'b']],
    [
      'are followed when only one that is not ready has none',
      [hinted({ zoneHints: ['za'] }, A), { ...B, ...NOT_READY }],
      ['a'],
    ],
    [
      'for this node come before those for the zone',
      [hinted({ zoneHints: ['zb'], nodeHints: ['node1'] }, A), hinted({ zoneHints: ['za'], nodeHints: ['node2'] }, B)],
      ['a'],
    ],
    [
      'for other nodes alone leave it to those for the zone',
      [hinted({ zoneHints: ['za'], nodeHints: ['node2'] }, A), hinted({ zoneHints: ['zb'], nodeHints: ['node2'] }, B)],
      ['a'],
    ],
    [
      'for this node need every ready endpoint to have some',
      [hinted({ nodeHints: ['node1'] }, A), hinted({}, B)],
      ['a', 'b'],
    ],
    [
      'for the zone of a node without a label are none',
      [hinted({ zoneHints: ['za'] }, A), hinted({ zoneHints: ['zb'] }, B)],
      ['a', 'b'],
      '',
    ],
    [
      'for the zone named by empty text match a node without a label',
      [hinted({ zoneHints: [''] }, A), hinted({ zoneHints: ['zb'] }, B)],
      ['a'],
      '',
    ],
    [
      'do not matter for terminating endpoints',
      [
        { ...hinted({ zoneHints: ['za'] }, A), ...LAST_RESORT },
        { ...hinted({ zoneHints: ['zb'] }, B), ...LAST_RESORT },
      ],
      ['a', 'b'],
    ],
  ] as const)('%s', (_, endpoints: readonly SliceEndpoint[], expected: readonly string[], zone: string = 'za') => {
    const collected = collectEndpoints([slice('s', endpoints)], 'ipv4', 'p80', 'tcp', 'node1')
    const { cluster } = resolveEndpoints(collected, { cluster: true, local: false }, { nodeName: 'node1', zone })
    expect(cluster.map(({ ip }) => (ip === A.ip ? 'a' : 'b'))).toEqual(expected)
  })
})
