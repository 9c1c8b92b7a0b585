// /debug/rules of a family in IPVS mode, through a sync that holds, one that fails, and its repair.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { TextPieces } from '../../src/daemon/debug-rules.ts'
import { type FamilySync, startFamily } from '../../src/daemon/family.ts'
import { createIpvsMode } from '../../src/daemon/ipvs-mode.ts'
import type { Log } from '../../src/daemon/log.ts'
import { createMetrics } from '../../src/daemon/metrics.ts'
import { showRules } from '../../src/daemon/show-rules.ts'
import type { Hands } from '../../src/host/hands.ts'
import type { ServiceEntry } from '../../src/model/snapshot.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'
import type { FakeFailure } from '../support/fake-host.ts'
import { createFakeIpvsHost } from '../support/fake-ipvs.ts'
import { serviceEntry, snapshotOf } from '../support/many-services.ts'
import { CONFIG, NEVER, NODE } from '../support/syncer-model.ts'

const SILENT: Log = {
  error: () => {},
  warn: () => {},
  info: () => {},
  verbose: () => {},
  isVerbose: () => false,
  setVerbosity: () => {},
}
const A = 'bench/svc00000'
const B = 'bench/svc00001'

let clock: FakeClock
let family: FamilySync
let synced = 0
let failing: Readonly<Record<string, FakeFailure>> = {}

beforeEach(() => {
  clock = createFakeClock()
  synced = 0
  failing = {}
  const host = createFakeIpvsHost({ nextFailure: (program) => failing[program] ?? 'none' })
  const hands = { ...host.hands, dumpConntrack: async () => [] } as Partial<Hands> as Hands
  const options = {
    family: 'ipv4',
    config: CONFIG,
    variant: 'nft',
    hands,
    clock,
    log: SILENT,
    metrics: createMetrics({ version: '1', now: () => 0 }),
    drift: { probeMs: 1e9, probeShare: 1, readBackMs: 1e9 },
    signal: NEVER,
    onQueued: () => {},
    onSynced: () => {
      synced += 1
    },
  } as const
  family = startFamily(options, createIpvsMode({}))
  family.setNode(NODE)
})
afterEach(() => family.stop())

const rules = showRules(() => [family])

async function desire(...services: readonly ServiceEntry[]): Promise<void> {
  const before = synced
  family.setSnapshot(snapshotOf(services), [])
  await vi.waitFor(() => {
    clock.advance(2_000)
    if (synced === before && family.shown().failed === undefined) throw new Error('no sync yet')
  }, 20_000)
}

function textOf(pieces: TextPieces | undefined): string | undefined {
  return pieces && [...pieces].join('')
}

describe('in IPVS mode', () => {
  const before = [serviceEntry(0, ['10.1.0.1']), serviceEntry(1, ['10.2.0.1'])]
  const after = [serviceEntry(0, ['10.1.0.9']), serviceEntry(1, ['10.2.0.9']), serviceEntry(10, [])]

  test('what was applied is shown, of all Services or one, and nothing else', async () => {
    await desire(...before)
    expect(textOf(rules.lastApplied(B))).toBe(
      `# ipv4\n# ${B}:p tcp\n` +
        'ipset add KUBE-CLUSTER-IP 172.30.0.2,tcp:80 -exist\nipset add KUBE-IPVS-IPS 172.30.0.2 -exist\n' +
        'kube-ipvs0 172.30.0.2/32\n-A -t 172.30.0.2:80 -s rr\n-a -t 172.30.0.2:80 -r 10.2.0.1:8080 -m -w 1\n',
    )
    const all = textOf(rules.lastApplied(undefined))
    for (const part of [`# ${A}:p tcp\n`, `# ${B}:p tcp\n`]) expect(all).toContain(part)
    expect([rules.lastFailed(undefined), rules.pending(undefined)]).toEqual([undefined, undefined])
  })

  test('a payload that failed is shown with the Services that its lines are for, until a sync succeeds', async () => {
    await desire(...before)
    failing = { ipvsadm: 'timeout' }
    await desire(...after)
    const [why, ...lines] = (textOf(rules.lastFailed(undefined)) ?? '').trim().split('\n')
    expect(why).toMatch(/^# ipvsadm -R /)
    expect(lines).toEqual([
      `-a -t 172.30.0.1:80 -r 10.1.0.9:8080 -m -w 1 # ${A}:p tcp`,
      `-e -t 172.30.0.1:80 -r 10.1.0.1:8080 -m -w 0 # ${A}:p tcp`,
      `-a -t 172.30.0.2:80 -r 10.2.0.9:8080 -m -w 1 # ${B}:p tcp`,
      `-e -t 172.30.0.2:80 -r 10.2.0.1:8080 -m -w 0 # ${B}:p tcp`,
      '-A -t 172.30.0.11:80 -s rr # bench/svc00010:p tcp',
    ])
    expect(textOf(rules.lastFailed(B))).toBe(`${why}\n${lines[2]}\n${lines[3]}\n`)
    expect(rules.lastFailed('bench/svc0001')).toBeUndefined()
    expect(rules.lastFailed('bench/other')).toBeUndefined()
    expect(textOf(rules.lastApplied(A))).toContain('10.1.0.1:8080')
    expect(textOf(rules.pending(A))).toContain('10.1.0.9:8080')

    failing = {}
    await vi.waitFor(() => {
      clock.advance(60_000)
      expect(synced).toBe(2)
    }, 20_000)
    expect([rules.lastFailed(undefined), rules.pending(undefined)]).toEqual([undefined, undefined])
    expect(textOf(rules.lastApplied(A))).toContain('10.1.0.9:8080')
  })

  test('a payload of sets names Services too, also one that is gone', async () => {
    await desire(...before)
    failing = { ipset: 'timeout' }
    await desire(serviceEntry(0, ['10.1.0.1']))
    expect(textOf(rules.lastFailed(B))?.split('\n').slice(1)).toEqual([
      `del KUBE-CLUSTER-IP 172.30.0.2,tcp:80 -exist # ${B}:p tcp`,
      `del KUBE-IPVS-IPS 172.30.0.2 -exist # ${B}:p tcp`,
      '',
    ])
  })
})
