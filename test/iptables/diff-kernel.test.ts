import { describe, expect, test } from 'vitest'
import { compile, defaultProxyConfig, link, printRestore } from '../../src/index.ts'
import { diffRulesets } from '../../src/iptables/diff.ts'
import { diffKernel } from '../../src/iptables/diff-kernel.ts'
import { NO_TABLES, readKernelText } from '../../src/iptables/kernel-text.ts'
import { isSharedChain } from '../../src/iptables/link.ts'
import { nameServiceChains } from '../../src/iptables/names.ts'
import { findPayloadLines, listWhenLarge, NEVER_LIST, printRestorePayload } from '../../src/iptables/restore-payload.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import { applyRestore } from '../support/apply-restore.ts'
import { comparable } from '../support/comparable-rules.ts'
import { printKernel } from '../support/fake-host.ts'
import { manyServices, plainNode } from '../support/many-services.ts'

const program = compile(manyServices(3, 2), defaultProxyConfig(), plainNode(), 'ipv4')
const EMPTY: Ruleset = { family: 'ipv4', tables: new Map() }
const chains = program.servicePorts.map((servicePort) => nameServiceChains(servicePort).cluster)
const [first = '', second = ''] = chains

/** The kernel after a whole sync and what somebody did then, and the difference to what is desired. */
function diffAfter(outside: string) {
  const synced = applyRestore(EMPTY, printRestore(diffKernel(program, NO_TABLES)))
  const changed = outside === '' ? synced : applyRestore(synced, outside)
  const diff = diffKernel(program, readKernelText(printKernel(changed)))
  const repaired = applyRestore(changed, printRestore(diff))
  return { diff, payload: printRestore(diff), repaired, synced }
}

describe('a difference to the kernel', () => {
  test('from nothing it is everything that the program links to', () => {
    const { synced } = diffAfter('')
    expect(printKernel(sorted(synced))).toBe(printKernel(sorted(link(program))))
  })

  test('is nothing where nothing differs', () => {
    expect(diffAfter('').diff).toEqual({ family: 'ipv4', tables: new Map(), findings: [] })
  })

  test('rewrites a chain of a Service in which a rule changed, and no other', () => {
    const { diff, payload } = diffAfter(`*nat\n-I ${first} 1 -j RETURN\nCOMMIT\n`)
    const owner = 'bench/svc00000:p tcp'
    expect(diff.findings).toEqual([{ kind: 'changed rules', table: 'nat', chain: first, owner }])
    expect(payload.split('\n').filter((line) => line.startsWith(':'))).toEqual([`:${first} - [0:0]`])
    expect(payload).not.toContain(second)
  })

  test('edits single lines of a shared chain', () => {
    const { diff, payload, repaired, synced } = diffAfter(
      '*nat\n-D KUBE-SERVICES -d 172.30.0.2/32 -p tcp -m comment --comment "bench/svc00001:p cluster IP" ' +
        `-m tcp --dport 80 -j ${second}\n-A KUBE-SERVICES -j ACCEPT\nCOMMIT\n`,
    )
    expect(payload.trimEnd().split('\n')).toEqual([
      '*nat',
      '-D KUBE-SERVICES -j ACCEPT',
      expect.stringMatching(/^-I KUBE-SERVICES 1 .*svc00001/),
      'COMMIT',
    ])
    expect(diff.findings).toEqual([
      { kind: 'changed rules', table: 'nat', chain: 'KUBE-SERVICES' },
      { kind: 'changed rules', table: 'nat', chain: 'KUBE-SERVICES', owner: 'bench/svc00001:p tcp' },
    ])
    expect(comparable(repaired, printKernel)).toBe(comparable(synced, printKernel))
  })

  test('puts a missing jump at the top of its base chain, and moves none that is there', () => {
    const portals = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    const { diff, payload } = diffAfter(`*nat\n-D PREROUTING ${portals}\n-I OUTPUT 1 -j ACCEPT\nCOMMIT\n`)
    expect(diff.findings).toEqual([{ kind: 'missing jump', table: 'nat', chain: 'PREROUTING' }])
    expect(payload).toBe(`*nat\n-I PREROUTING 1 ${portals}\nCOMMIT\n`)
  })

  test("leaves the kubelet's rules in KUBE-FIREWALL, and adds its own", () => {
    const { payload } = diffAfter(
      '*filter\n-F KUBE-FIREWALL\n-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP\nCOMMIT\n',
    )
    expect(payload).toMatch(/^\*filter\n-I KUBE-FIREWALL 1 ! -s 127.0.0.0\/8 .*\nCOMMIT\n$/)
  })

  test('deletes chains of Services that are gone, and says whose they were', () => {
    const { diff, payload } = diffAfter(
      '*nat\n:KUBE-SVC-OLD - [0:0]\n:KUBE-SEP-OLD - [0:0]\n' +
        '-A KUBE-SVC-OLD -m comment --comment "ns1/old:p80 -> 10.0.0.1:80" -j KUBE-SEP-OLD\nCOMMIT\n',
    )
    expect(payload).toBe(
      '*nat\n:KUBE-SEP-OLD - [0:0]\n:KUBE-SVC-OLD - [0:0]\n-X KUBE-SEP-OLD\n-X KUBE-SVC-OLD\nCOMMIT\n',
    )
    expect(diff.findings).toContainEqual({
      kind: 'stale chain',
      table: 'nat',
      chain: 'KUBE-SVC-OLD',
      owner: 'ns1/old:p80',
    })
  })

  test("empties such a chain when somebody else's rule refers to it, once", () => {
    const { payload, repaired } = diffAfter(
      '*nat\n:KUBE-SVC-OLD - [0:0]\n-A KUBE-SVC-OLD -j RETURN\n-A POSTROUTING -j KUBE-SVC-OLD\nCOMMIT\n',
    )
    expect(payload).toBe('*nat\n:KUBE-SVC-OLD - [0:0]\nCOMMIT\n')
    expect(diffKernel(program, readKernelText(printKernel(repaired))).findings).toEqual([])
  })

  test('never deletes chains that are not of a Service', () => {
    const { payload } = diffAfter(
      '*nat\n:KUBE-KUBELET-CANARY - [0:0]\n:KUBE-MARK-DROP - [0:0]\n:FOREIGN - [0:0]\nCOMMIT\n',
    )
    expect(payload).toBe('')
  })
})

describe('the payload of a change', () => {
  const change = diffKernel(program, NO_TABLES)
  const text = (listsFirst: Parameters<typeof printRestorePayload>[1]) =>
    Buffer.concat(printRestorePayload(change, listsFirst).blocks).toString()

  test('is the same in bytes as in text', () => {
    expect(text(NEVER_LIST)).toBe(printRestore(change))
    expect(printRestorePayload(change, NEVER_LIST).lines).toBe(printRestore(change).split('\n').length - 1)
  })

  test('lists a large table first, and then has the jumps from base chains in a transaction of their own', () => {
    const listed = text((table) => table === 'nat')
    const nat = listed.slice(listed.indexOf('*nat'))
    expect(nat).toMatch(/^\*nat\n-S\n:/)
    const [whole = '', jumps = ''] = nat.split('COMMIT\n')
    expect(whole).not.toMatch(/^-I (?:PREROUTING|OUTPUT|POSTROUTING)/m)
    const commands = jumps
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ', 2).join(' '))
    expect(commands.toSorted()).toEqual(['*nat', '-I OUTPUT', '-I POSTROUTING', '-I PREROUTING'])
    expect(printKernel(applyRestore(EMPTY, listed))).toBe(printKernel(applyRestore(EMPTY, printRestore(change))))
  })

  test('lists when that is quicker: the more chains there are to read, the later', () => {
    const rewriting = (count: number) => ({
      rewritten: new Map(Array.from({ length: count }, (_, index) => [`KUBE-SEP-${index}`, []])),
      edits: [],
      deleted: [],
    })
    expect(listWhenLarge(() => 10)('nat', rewriting(250))).toBe(false)
    expect(listWhenLarge(() => 10)('nat', rewriting(350))).toBe(true)
    expect(listWhenLarge(() => 60_000)('nat', rewriting(6_000))).toBe(false)
    expect(listWhenLarge(() => 60_000)('nat', rewriting(7_000))).toBe(true)
  })

  test('finds a line by its number again', () => {
    const lines = text(NEVER_LIST).split('\n')
    const number = lines.findIndex((line) => line.startsWith(`-A ${first} `)) + 1
    expect(findPayloadLines(change, NEVER_LIST, new Set([number]))).toEqual([
      { table: 'nat', chain: first, text: lines[number - 1], writesRule: true },
    ])
  })
})

test('the difference to a kernel has the same chains as that between rulesets', () => {
  const other = compile(manyServices(2, 3), defaultProxyConfig(), plainNode(), 'ipv4')
  const byText = diffKernel(other, readKernelText(printKernel(link(program))))
  const byRules = diffRulesets(link(other), link(program), { isShared: isSharedChain, rivals: new Set() })
  const named = (change: typeof byRules) =>
    [...change.tables].map(([table, { rewritten, deleted, edits }]) => ({
      table,
      rewritten: [...rewritten.keys()].toSorted(),
      deleted: [...deleted].toSorted(),
      edits: edits.length,
    }))
  expect(named(byText)).toEqual(named(byRules))
})

function sorted(ruleset: Ruleset): Ruleset {
  const tables = [...ruleset.tables].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    ...ruleset,
    tables: new Map(
      tables.map(([name, table]) => [name, new Map([...table].toSorted(([a], [b]) => (a < b ? -1 : 1)))]),
    ),
  }
}
