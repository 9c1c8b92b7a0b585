import { expect, test } from 'vitest'
import { formatRfc3339 } from '../../src/daemon/instant.ts'

const at = (text: string, nanoseconds = 0n) => BigInt(Date.parse(text)) * 1_000_000n + nanoseconds

test.each<[bigint, number, string]>([
  [at('2026-01-02T03:04:55Z'), 0, '2026-01-02T03:04:55Z'],
  [at('2026-01-02T03:04:55Z', 123_456_789n), 0, '2026-01-02T03:04:55.123456789Z'],
  [at('2026-01-02T03:04:55Z', 120_000_000n), 0, '2026-01-02T03:04:55.12Z'],
  [at('2026-01-02T03:04:55Z', 1n), 0, '2026-01-02T03:04:55.000000001Z'],
  [at('2026-01-02T23:30:00Z'), 120, '2026-01-03T01:30:00+02:00'],
  [at('2026-01-02T01:00:00Z', 500_000_000n), -210, '2026-01-01T21:30:00.5-03:30'],
])('%s nanoseconds %i minutes ahead of UTC is printed as %s', (wall, offset, expected) => {
  expect(formatRfc3339(wall, offset)).toBe(expected)
})
