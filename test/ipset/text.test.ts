import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IpSet, SetType } from '../../src/ipset/ip-set.ts'
import { parseIpsetSave } from '../../src/ipset/parse.ts'
import {
  addEntryLine,
  createSetLine,
  deleteEntryLine,
  destroySetLine,
  printIpsetSave,
  swapSetsLine,
} from '../../src/ipset/print.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'

const RECORDED = path.join(GOLDEN_ROOT, 'recorded')

/** Lines as ipset 7.17 printed them. */
const OF_OTHERS = [
  'create a hash:ip family inet hashsize 1024 maxelem 65536 netmask 24 timeout 30 counters comment skbinfo bucketsize 12 initval 0x03e0769c',
  String.raw`add a 1.2.3.0 timeout 18 packets 3 bytes 0 comment "hello \ 'world' here" skbmark 0x1`,
  'create x y hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x406c590d',
  'add x y 1.2.3.4',
  'create q"x hash:ip family inet hashsize 2048 maxelem 65536 bucketsize 12 initval 0x5aa17209',
  'create mac hash:mac hashsize 1024 maxelem 65536 bucketsize 12 initval 0x5f9aecf1',
  'create bpt bitmap:port range 1-1024 timeout 0',
  'create bi bitmap:ip range 10.0.0.0-10.0.0.255',
  'create n hash:net,iface family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0xbaa41d69',
  'add n 10.0.0.0/8,eth0 nomatch',
  'create list1 list:set size 8',
  'add list1 KUBE-X',
]

describe('ipset save', () => {
  const cases = readdirSync(RECORDED)

  test('there are recorded dumps', () => {
    expect(cases.length).toBeGreaterThanOrEqual(118)
  })

  test('every recorded dump is in the canonical form, and has only sets that sluice makes', () => {
    for (const name of cases) {
      const text = readFileSync(path.join(RECORDED, name, 'ipvs', 'ipset-save'), 'utf8')
      const { sets, issues } = parseIpsetSave(text)
      expect(issues).toEqual([])
      expect(sets.size).toBe(34)
      expect(printIpsetSave(sets.values())).toBe(text)
      expect(printIpsetSave([...sets.values()].map(({ header, entries }) => ({ header: of(header), entries })))).toBe(
        text,
      )
    }
  })

  test('sets of others keep everything but what the kernel chose, and have no header of ours', () => {
    const { sets, issues } = parseIpsetSave(`${OF_OTHERS.join('\n')}\n`)
    expect(issues).toEqual([])
    expect([...sets.keys()]).toEqual(['a', 'x y', 'q"x', 'mac', 'bpt', 'bi', 'n', 'list1'])
    expect(sets.get('a')).toEqual({
      name: 'a',
      definition: 'hash:ip family inet hashsize 1024 maxelem 65536 netmask 24 timeout 30 counters comment skbinfo',
      entries: new Set([String.raw`1.2.3.0 timeout 18 packets 3 bytes 0 comment "hello \ 'world' here" skbmark 0x1`]),
    })
    expect(sets.get('x y')?.entries).toEqual(new Set(['1.2.3.4']))
    for (const name of ['a', 'mac', 'bpt', 'bi', 'n', 'list1']) expect(sets.get(name)?.header).toBeUndefined()
    const expected = OF_OTHERS.map((line) => line.replace(/ bucketsize.*/, ''))
    expect(printIpsetSave(sets.values()).split('\n').filter(Boolean).toSorted()).toEqual(expected.toSorted())
  })

  test('the size to which the kernel has grown a table is no matter of the header', () => {
    const { sets } = parseIpsetSave('create KUBE-6-X hash:ip family inet6 hashsize 4096 maxelem 131072 bucketsize 12\n')
    expect(sets.get('KUBE-6-X')?.header).toEqual({
      name: 'KUBE-6-X',
      type: 'hash:ip',
      family: 'ipv6',
      maxelem: 131_072,
    })
  })

  test('a line that is none is named, and the others are read', () => {
    const { sets, issues } = parseIpsetSave('create a hash:mac size 1\nadd b 1.2.3.4\nflush\nadd a x\n')
    expect([...sets.keys()]).toEqual(['a'])
    expect(sets.get('a')?.entries).toEqual(new Set(['x']))
    expect(issues.map(({ at, message }) => [at.line, message])).toEqual([
      [2, '"add b 1.2.3.4" is no line of ipset save: give its unchanged output'],
      [3, '"flush" is no line of ipset save: give its unchanged output'],
    ])
  })

  test('sets of ours read back as they were printed, in one order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(arbitrarySet(), { selector: ({ header }) => header.name }), (sets) => {
        const text = printIpsetSave(sets)
        const read = [...parseIpsetSave(text).sets.values()]
        const expected = sets.toSorted((a, b) => (a.header.name < b.header.name ? -1 : 1))
        expect(read.map(({ header, entries }) => ({ header, entries }))).toEqual(expected)
        expect(printIpsetSave(sets.toReversed())).toBe(text)
      }),
    )
  })
})

describe('lines of ipset restore', () => {
  test('are complete and repeatable', () => {
    const header = { name: 'KUBE-CLUSTER-IP', type: 'hash:ip,port', family: 'ipv4', maxelem: 65_536 } as const
    expect(createSetLine(header)).toBe(
      'create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536 -exist',
    )
    expect(createSetLine({ name: 'KUBE-NODE-PORT-TCP', type: 'bitmap:port' })).toBe(
      'create KUBE-NODE-PORT-TCP bitmap:port range 0-65535 -exist',
    )
    expect(addEntryLine('KUBE-CLUSTER-IP', '10.0.0.1,tcp:80')).toBe('add KUBE-CLUSTER-IP 10.0.0.1,tcp:80 -exist')
    expect(deleteEntryLine('KUBE-CLUSTER-IP', '10.0.0.1,tcp:80')).toBe('del KUBE-CLUSTER-IP 10.0.0.1,tcp:80 -exist')
    expect(swapSetsLine('A', 'B')).toBe('swap A B')
    expect(destroySetLine('A')).toBe('destroy A')
  })

  test.each(['', 'a b', 'a\nflush', '"a"', 'a;b'])('%j gets into none', (text) => {
    for (const line of [
      () => addEntryLine('A', text),
      () => deleteEntryLine(text, '1'),
      () => destroySetLine(text),
      () => createSetLine({ name: text, type: 'bitmap:port' }),
    ]) {
      expect(line).toThrow("can't be a word of ipset")
    }
  })
})

function of<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('it is not there')
  return value
}

function arbitrarySet(): fc.Arbitrary<IpSet> {
  const name = fc.stringMatching(/^KUBE-[A-Z0-9-]{1,10}$/)
  const entries = fc
    .uniqueArray(fc.stringMatching(/^[0-9a-f.:]{1,8}(,(tcp|udp|sctp):[1-9]\d{0,3})?$/))
    .map((list) => new Set(list))
  const types: readonly SetType[] = ['hash:ip', 'hash:ip,port', 'hash:ip,port,ip', 'hash:ip,port,net']
  const hash = fc.record({
    name,
    type: fc.constantFrom(...types),
    family: fc.constantFrom('ipv4' as const, 'ipv6' as const),
    maxelem: fc.integer({ min: 1, max: 10_000_000 }),
  })
  const bitmap = fc.record({ name, type: fc.constant('bitmap:port' as const) })
  return fc.record({ header: fc.oneof(hash, bitmap), entries })
}
