// Whole `sluice run` processes while objects change at random and everything around fails: the API server, the daemon, its
// helper, other programs in the same tables. In the end the kernel is what the server's objects come to, and at no time
// does a rule of somebody else change.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  canonicalise,
  createCompiler,
  defaultProxyConfig,
  describeNode,
  link,
  parseIp,
  parseSave,
  printRule,
  type Ruleset,
} from '../../src/index.ts'
import { FAMILIES, type Family } from '../../src/model/address.ts'
import { expectedSnapshot } from '../support/cluster-source.ts'
import {
  apiFault,
  changeObjects,
  createRandom,
  NODE,
  node,
  putService,
  type Random,
} from '../support/daemon-history.ts'
import { eventually, missingForDaemon, RUN_TOOL, SAVE_TOOL } from '../support/daemon-kernel.ts'
import { type DaemonPlace, isRunning, openPlace } from '../support/daemon-place.ts'
import type { DaemonProcess } from '../support/daemon-process.ts'

const missing = missingForDaemon()
const FLAGS = ['--hostname-override', NODE, '--conntrack-max-per-core', '0', '--iptables-min-sync-period', '100ms']
const ADDRESSES = ['192.168.1.63/24', 'fd00:1::63/64']
/**
 * The agent reads everything back every 2 s, or so seldom that it costs a hundredth of a core: on a machine where reading
 * takes half a second, every 50.
 */
const READ_BACK_WITHIN_MS = 150_000
const READ_BACK = ['--read-back-interval', '2'] as const
const NEVER_READ_BACK = ['--read-back-interval', '3600'] as const

let place: DaemonPlace
const restore: Readonly<Record<Family, string>> = { ipv4: 'iptables-restore', ipv6: 'ip6tables-restore' }

describe.skipIf(missing !== undefined)('sluice run', () => {
  beforeEach(async () => {
    place = await openPlace({ interfaces: { eth0: ADDRESSES }, token: 'first' })
    place.server.store.put('nodes', node('one'))
    for (const family of FAMILIES) await place.must([restore[family], '--noflush'], foreignPayload())
  })
  afterEach(() => place[Symbol.asyncDispose]())

  function start(...more: readonly string[]): DaemonProcess {
    return place.daemon(['--kubeconfig', place.kubeconfig, ...FLAGS, ...more])
  }

  test.for([1, 2])('keeps the kernel right through a random history (seed %i)', { timeout: 900_000 }, async (seed) => {
    const random = createRandom(seed)
    const foreign = await foreignRules()
    await using watching = watchForeign(foreign)
    for (let count = 0; count < 8; count += 1) changeObjects(place.server.store, random)
    let daemon = start(...READ_BACK)
    await expectKernel()
    for (let step = 0; step < 24; step += 1) {
      for (let count = random(6); count >= 0; count -= 1) changeObjects(place.server.store, random)
      apiFault(place.server, place.folder, random)
      if (step % 4 === 1) await injure(random)
      if (step % 6 === 2) killHelper(daemon)
      if (step % 8 === 5) {
        daemon.signal('SIGKILL')
        await daemon.ended
        daemon = start(...READ_BACK)
      }
      await sleep(random(400))
      if (step % 8 === 7) await expectKernel()
    }
    await expectKernel()
    expect(daemon.isEnded()).toBe(false)
    expect(await watching.stop()).toEqual([])
  })

  test.for([
    { what: 'what the cheap look sees, without reading back', injuries: SEEN_CHEAPLY, flags: NEVER_READ_BACK },
    { what: 'the rest, at the next reading', injuries: SEEN_BY_READING, flags: READ_BACK },
  ])('repairs what an outsider does: $what', { timeout: 900_000 }, async ({ injuries, flags }) => {
    for (const name of ['a', 'b']) putService(place.server.store, name, 2)
    const foreign = await foreignRules()
    const daemon = start(...flags)
    await expectKernel()
    await using watching = watchForeign(foreign)
    for (const hurt of injuries) {
      await hurt()
      await expectKernel()
      await daemon.logged(/somebody changed/)
    }
    expect(await watching.stop()).toEqual([])
  })

  test('writes nothing before all Services and EndpointSlices are known', async () => {
    for (const name of ['a', 'b']) putService(place.server.store, name, 2)
    const asked = Promise.withResolvers<number>()
    place.server.onRequest = ({ path }) => {
      if (!path.includes('endpointslices')) return
      place.server.failNext(1, { kind: 'slow', ms: 3000 })
      asked.resolve(performance.now())
    }
    const daemon = start()
    await daemon.logged(/"msg":"serving"/)
    const until = (await asked.promise) + 2_500
    const early: string[] = []
    while (performance.now() < until) {
      const saved = await place.must(['iptables-save'])
      // What was read after the answer tells nothing.
      if (performance.now() < until) early.push(saved)
      await sleep(100)
    }
    expect(early.filter((saved) => saved.includes('KUBE-'))).toEqual([])
    await expectKernel()
  })

  test('keeps the last state while the API server is away, and goes on when it is back', async () => {
    putService(place.server.store, 'a', 2)
    start()
    await expectKernel()
    const before = await ownRules('ipv4')
    const { port } = place.server
    await place.server.close()
    await sleep(3000)
    expect(await ownRules('ipv4')).toEqual(before)
    putService(place.server.store, 'b', 3)
    await place.server.listen(await place.listen(port))
    await expectKernel()
    expect(await ownRules('ipv4')).not.toEqual(before)
  })

  test('a killed daemon takes its helper along, and the next one writes nothing', async () => {
    putService(place.server.store, 'a', 2)
    const first = start()
    await expectKernel()
    const helper = first.helper() ?? 0
    expect(isRunning(helper)).toBe(true)
    first.signal('SIGKILL')
    await first.ended
    await eventually(() => isRunning(helper), false, 30_000)
    const second = start('-v', '2')
    await second.logged(/"family":"IPv4".*"kind":"none".*rules are as they should be/)
    await second.logged(/"family":"IPv6".*"kind":"none".*rules are as they should be/)
    expect(second.log()).not.toContain('synced rules')
  })
})

type Injury = () => Promise<unknown>

const SEEN_CHEAPLY: readonly Injury[] = [
  // As a firewall's reload: everything goes but its own.
  () => place.must(['iptables-restore'], foreignPayload()),
  () => place.must(['ip6tables', '-t', 'mangle', '-X', 'KUBE-PROXY-CANARY']),
  () => removeJump('ipv4', 'nat', 'PREROUTING'),
  () => removeJump('ipv6', 'filter', 'FORWARD'),
]

const SEEN_BY_READING: readonly Injury[] = [
  () => place.must(['iptables', '-t', 'nat', '-F', 'KUBE-SERVICES']),
  async () => {
    const [, chain = ''] = /^:(KUBE-SEP-\S+)/m.exec(await place.must(['iptables-save', '-t', 'nat'])) ?? []
    await place.must(['iptables', '-t', 'nat', '-R', chain, '1', '-j', 'RETURN'])
  },
]

const INJURIES: readonly Injury[] = [...SEEN_CHEAPLY, ...SEEN_BY_READING]

async function injure(random: Random): Promise<void> {
  // While the daemon writes, what is to be hurt may be gone.
  await INJURIES[random(INJURIES.length)]?.().catch(() => undefined)
}

async function removeJump(family: Family, table: string, chain: string): Promise<void> {
  const text = await place.must([RUN_TOOL[family], '-t', table, '-S', chain])
  const place1 = text.split('\n').findIndex((line) => line.includes('-j KUBE-'))
  await place.must([RUN_TOOL[family], '-t', table, '-D', chain, String(place1)])
}

function killHelper(daemon: DaemonProcess): void {
  const helper = daemon.helper()
  if (helper !== undefined) process.kill(helper, 'SIGKILL')
}

/** Waits until the kernel is what the server's objects come to. */
async function expectKernel(): Promise<void> {
  for (const family of FAMILIES) await eventually(() => ownRules(family), desiredRules(family), READ_BACK_WITHIN_MS)
}

function desiredRules(family: Family): readonly string[] {
  const snapshot = expectedSnapshot(place.server.store)
  const addresses = [...ADDRESSES.map((address) => address.replace(/\/\d+$/, '')), '127.0.0.1', '::1']
  const host = {
    addresses: addresses.flatMap((address) => parseIp(address) ?? []),
    features: { nfacct: true, randomFully: true, tcpBeLiberal: false },
  }
  const config = defaultProxyConfig()
  const { facts } = describeNode(NODE, snapshot.nodes.get(NODE), config, host)
  return describeOwn(link(createCompiler(config, facts, family)(snapshot)))
}

async function ownRules(family: Family): Promise<readonly string[]> {
  return describeOwn(parseSave(await place.must([SAVE_TOOL[family]]), family).ruleset)
}

/** Jumps that were put back stand at the top of base chains, so there the order does not count. */
function describeOwn(ruleset: Ruleset): readonly string[] {
  const lines: string[] = []
  for (const [table, chains] of canonicalise(ruleset).tables) {
    for (const [chain, { rules }] of chains) {
      const texts = rules.map((rule) => printRule(rule, ruleset.family)).filter((text) => !text.includes('foreign'))
      const isOwn = chain.startsWith('KUBE-')
      if (isOwn) lines.push(`${table} ${chain}`)
      const ordered = isOwn ? texts : texts.toSorted()
      lines.push(...ordered.map((text, index) => `${table} ${chain} ${index} ${text}`))
    }
  }
  return lines.toSorted()
}

function foreignPayload(): string {
  const rule = (number: number) => `-m comment --comment "foreign ${number}" -j ACCEPT`
  return [
    '*filter',
    ':FOREIGN - [0:0]',
    `-A FOREIGN ${rule(1)}`,
    `-A INPUT ${rule(2)}`,
    `-A FORWARD ${rule(3)}`,
    `-A FORWARD ${rule(4)}`,
    'COMMIT',
    '*nat',
    ':FOREIGN-NAT - [0:0]',
    `-A PREROUTING ${rule(5)}`,
    `-A POSTROUTING ${rule(6)}`,
    `-A POSTROUTING ${rule(7)}`,
    'COMMIT',
    '',
  ].join('\n')
}

async function foreignRules(here: DaemonPlace = place): Promise<string> {
  const texts = await Promise.all(FAMILIES.map((family) => here.must([SAVE_TOOL[family]])))
  return texts
    .flatMap((text) => text.split('\n'))
    .filter((line) => /foreign/i.test(line))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ''))
    .join('\n')
}

interface Watching extends AsyncDisposable {
  /** Returns what the rules once were instead. Rejects when they could not be read. */
  readonly stop: () => Promise<readonly string[]>
}

/** Looks at the rules of others again and again. Disposing of it ends it too, and says nothing: the test failed already. */
function watchForeign(expected: string): Watching {
  const here = place
  const wrong: string[] = []
  const ending = new AbortController()
  const look = async () => {
    while (!ending.signal.aborted) {
      const found = await foreignRules(here)
      if (found !== expected) wrong.push(found)
      await sleep(150)
    }
  }
  // Caught at once: a test that fails does not ask, and nobody would hear of it.
  const failure = look().then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  const end = () => {
    ending.abort()
    return failure
  }
  return {
    stop: async () => {
      const failed = await end()
      if (failed !== undefined) throw failed.error
      return wrong
    },
    [Symbol.asyncDispose]: async () => void (await end()),
  }
}
