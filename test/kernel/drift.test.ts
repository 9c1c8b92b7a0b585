// What the frequent look finds in a real kernel, in private network namespaces: whatever somebody else did to any of our
// chains, and nothing while they write elsewhere. Without root or tools the tests are skipped, but not in CI.
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hands, HandsCommand } from '../../src/host/hands.ts'
import { startHands } from '../../src/host/hands-client.ts'
import { canonicalise, createCompiler, defaultProxyConfig, parseSave, printSave } from '../../src/index.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { createGenerations } from '../../src/sync/generations.ts'
import { createSyncer } from '../../src/sync/syncer.ts'
import { type IptablesVariant, toolsOf } from '../../src/sync/variant.ts'
import { manyServices, plainNode } from '../support/many-services.ts'
import { createNetworkNamespace, type NetworkNamespace } from '../support/network-namespace.ts'

const LOCK = path.join(tmpdir(), `sluice-drift-xtables-${process.pid}.lock`)
process.env['XTABLES_LOCKFILE'] = LOCK
const NEVER = new AbortController().signal

afterAll(() => rmSync(LOCK, { force: true }))

describe.for(['nft', 'legacy'] as const)('with iptables-%s', (variant) => {
  let namespace: NetworkNamespace | undefined
  let hands: Hands | undefined
  let problem: string | undefined

  beforeAll(async () => {
    try {
      namespace = await createNetworkNamespace()
      const { status, stderr } = namespace.run([toolsOf(variant, 'ipv4').restore, '--noflush'], '*nat\nCOMMIT\n')
      if (status !== 0) problem = `iptables-${variant}-restore in a namespace: ${stderr}`
      hands = await startHands({ inside: namespace.prefix })
    } catch (error) {
      problem = String(error)
    }
  })
  afterAll(async () => {
    await hands?.close()
    await namespace?.close()
  })

  describe.for(FAMILIES)('and %s', (family) => {
    test('any chain that a stranger touches is repaired after one look, and foreign rules stay', async ({ skip }) => {
      const here = place(skip)
      const tool = [toolsOf(variant, family).run, '-t', 'nat']
      here.must([...tool, '-N', 'FOREIGN'])
      here.must([...tool, '-A', 'FOREIGN', '-j', 'ACCEPT'])
      here.must([...tool, '-A', 'PREROUTING', '-j', 'FOREIGN'])
      const program = createCompiler(defaultProxyConfig(), plainNode(), family)(manyServices(5, 2, family))
      const syncer = here.startSyncer(family)
      await syncer.sync(program, NEVER)
      const desired = here.rules(family)
      const chain = (kind: string) => new RegExp(`^:(KUBE-${kind}-\\S+)`, 'm').exec(desired)?.[1] ?? ''
      const service = /^-A KUBE-SERVICES .*-j (KUBE-SVC-\S+)$/m.exec(desired)
      const injuries: readonly (readonly (readonly string[])[])[] = [
        [['-F', 'KUBE-SERVICES']],
        [['-F', chain('SVC')]],
        [['-F', chain('SEP')]],
        [['-D', 'KUBE-SERVICES', '3']],
        [['-A', chain('SVC'), '-j', 'ACCEPT']],
        [['-D', chain('SEP'), '2']],
        [
          ['-F', 'KUBE-SERVICES'],
          ['-F', service?.[1] ?? ''],
          ['-X', service?.[1] ?? ''],
        ],
      ]
      for (const [number, injury] of injuries.entries()) {
        // With and without a look at what we wrote last.
        const before = number % 2 === 0 ? (await syncer.check(NEVER)).findings : []
        expect(before).toEqual([])
        for (const words of injury) here.must([...tool, ...words])
        expect(here.rules(family)).not.toBe(desired)
        expect((await syncer.check(NEVER)).findings).not.toEqual([])
        expect((await syncer.sync(program, NEVER)).drift).not.toEqual([])
        expect(here.rules(family)).toBe(desired)
      }
    })
  })

  test.runIf(variant === 'legacy')(
    'our own writes are no reason to read everything, and each foreign one is for one reading',
    async ({ skip }) => {
      const here = place(skip)
      const compiler = createCompiler(defaultProxyConfig(), plainNode(), 'ipv4')
      const syncer = here.startSyncer('ipv4')
      const check = async () => {
        const before = here.saves()
        expect((await syncer.check(NEVER)).findings).toEqual([])
        return here.saves() - before
      }
      await syncer.sync(compiler(manyServices(5, 2)), NEVER)
      await check()
      for (const services of [6, 9, 2, 0, 7]) {
        await syncer.sync(compiler(manyServices(services, services % 4)), NEVER)
        expect(await check()).toBe(0)
        here.must(['iptables-legacy', '-A', 'FORWARD', '-s', `192.0.2.${services}`, '-j', 'ACCEPT'])
        expect(await check()).toBe(1)
        expect(await check()).toBe(0)
      }
    },
  )

  // iptables-legacy tells how many entries a table has, not whose.
  test.runIf(variant === 'nft')(
    'strangers who write elsewhere, and our own writes, are no reason to read everything',
    async ({ skip }) => {
      const here = place(skip)
      const compiler = createCompiler(defaultProxyConfig(), plainNode(), 'ipv4')
      const syncer = here.startSyncer('ipv4')
      await syncer.sync(compiler(manyServices(5, 2)), NEVER)
      for (const services of [6, 9, 2]) {
        await syncer.sync(compiler(manyServices(services, 2)), NEVER)
        // So many until the chains that we left are known.
        for (let looks = 0; looks < 5; looks += 1) expect((await syncer.check(NEVER)).findings).toEqual([])
        here.must(['iptables-nft', '-A', 'FORWARD', '-s', `192.0.2.${services}`, '-j', 'ACCEPT'])
        const before = here.saves()
        expect((await syncer.check(NEVER)).findings).toEqual([])
        expect(here.saves()).toBe(before)
      }
    },
  )

  function place(skip: (note: string) => void) {
    if (namespace === undefined || hands === undefined || problem !== undefined) {
      if (process.env['CI'] === 'true') throw new Error(`this test must run in CI, and ${problem}`)
      process.stderr.write(`SKIPPED: drift with iptables-${variant}: ${problem}\n`)
      skip(problem ?? 'no namespace')
      throw new Error('skipped')
    }
    return createPlace(variant, namespace, hands)
  }
})

function createPlace(variant: IptablesVariant, namespace: NetworkNamespace, hands: Hands) {
  let saves = 0
  const run = (command: HandsCommand) => {
    if (command.argv[0].endsWith('-save')) saves += 1
    return hands.run(command)
  }
  const must = (argv: readonly string[]) => {
    const { status, stdout, stderr } = namespace.run(argv)
    if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
    return stdout
  }
  const generations = createGenerations(() => hands.readGeneration())
  return {
    must,
    saves: () => saves,
    /** All of nat, without counters and comments; chains in the order of their names. */
    /** In canonical order: lines of Services may come in any. */
    rules: (family: (typeof FAMILIES)[number]) =>
      printSave(canonicalise(parseSave(must([toolsOf(variant, family).save, '-t', 'nat']), family).ruleset)),
    startSyncer: (family: (typeof FAMILIES)[number]) =>
      createSyncer({
        hands: { run, ensureCounters: async () => [] },
        family,
        variant,
        now: () => performance.now(),
        ...(variant === 'nft' && {
          strangers: { generations, fingerprint: (ofFamily) => hands.fingerprintChains(ofFamily) },
        }),
      }),
  }
}
