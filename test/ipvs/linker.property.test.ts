import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assembleSnapshot, link, parseDocuments, printSave } from '../../src/index.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import { ipvsChunkOf } from '../../src/ipvs/changed-chunks.ts'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import { linkIpvs } from '../../src/ipvs/link.ts'
import { createIpvsLinker } from '../../src/ipvs/linker.ts'
import type { IpvsProgram, IpvsState } from '../../src/ipvs/program.ts'
import { compileIpvsRules } from '../../src/ipvs/rules.ts'
import { SET_NAMES, setName } from '../../src/ipvs/sets.ts'
import { virtualServerKey } from '../../src/ipvs/virtual-server.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { arbitrarySnapshot } from '../support/arbitrary-cluster.ts'
import { applyEdit, arbitraryEdits } from '../support/arbitrary-edit.ts'
import { arbitrarySetting } from '../support/arbitrary-node.ts'
import { listText, rawObjectsOf } from '../support/raw-snapshot.ts'

/** A state as plain values, so that two of them can be compared, also one now and one of before. */
interface Plain {
  readonly virtualServers: ReadonlyMap<string, string>
  readonly entries: ReadonlyMap<string, number>
  readonly addresses: readonly string[]
  readonly rules: string
}

function plain(state: IpvsState): Plain {
  const servers = [...state.virtualServers].map(([key, owned]) => [key, JSON.stringify(owned)] as const)
  const entries = [...state.sets].flatMap(([name, set]) =>
    [...set.entries].map(([text, count]) => [`${name} ${text}`, count] as const),
  )
  return {
    virtualServers: new Map(servers),
    entries: new Map(entries),
    addresses: [...state.addresses].toSorted(),
    rules: printSave(link(state.rules)),
  }
}

/** Everything at once and nothing remembered: what the linker has to come to. */
function linkNaively(program: IpvsProgram): Plain {
  const { family, settings } = program
  const chunks = program.servicePorts.map((port) => ipvsChunkOf(program, port))
  const servers = new Map<string, string>()
  for (const { owner, virtualServers } of chunks) {
    for (const virtualServer of virtualServers) {
      const key = virtualServerKey(virtualServer)
      if (!servers.has(key)) servers.set(key, JSON.stringify({ owner, virtualServer }))
    }
  }
  const entries = new Map<string, number>()
  const wanted = chunks.flatMap((chunk) => chunk.entries.map(({ set, text }) => `${set} ${text}`))
  for (const key of wanted) entries.set(key, wanted.filter((other) => other === key).length)
  const filled = SET_NAMES.filter((name) => wanted.some((key) => key.startsWith(`${setName(name, family)} `)))
  const outFilter = chunks.flatMap((chunk) => chunk.outFilter)
  const once = new Map(outFilter.toReversed().map((rule) => [printRule(rule, family), rule]))
  const inOrder = [...new Set(outFilter.map((rule) => printRule(rule, family)))].flatMap((key) => once.get(key) ?? [])
  return {
    virtualServers: servers,
    entries: entries,
    addresses: [...new Set(chunks.flatMap((chunk) => chunk.addresses))].toSorted(),
    rules: printSave(link(compileIpvsRules(settings, { filled: new Set(filled), outFilter: inOrder }))),
  }
}

describe.each(FAMILIES)('one linker of %s programs, edit after edit', (family) => {
  test('comes to what linking from scratch and what naming everything comes to, and names all that changed', () => {
    fc.assert(
      fc.property(
        arbitrarySetting(),
        arbitrarySetting(),
        arbitrarySnapshot(),
        arbitraryEdits(),
        fc.array(fc.nat({ max: 9 })),
        (setting, other, first, edits, refusals) => {
          const linkNext = createIpvsLinker()
          let compile = createIpvsCompiler(setting.config, setting.node, family)
          let snapshot = first
          let before: Plain | undefined
          let last: IpvsProgram | undefined
          const step = (program: IpvsProgram) => {
            const { state, touched } = linkNext(program)
            const now = plain(state)
            expect(now).toEqual(linkNaively(program))
            expect(now).toEqual(plain(linkIpvs(program)))
            expectTouched(before, now, touched)
            before = now
            last = program
          }
          step(compile(snapshot))
          for (const [index, edit] of edits.entries()) {
            snapshot = applyEdit(snapshot, edit)
            // In the middle of a history, the configuration changes.
            if (index === 2) compile = createIpvsCompiler(other.config, other.node, family)
            const kept = keepSome(compile(snapshot), last, refusals)
            step(kept)
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  test('answers with the same rules as long as they do not change', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySnapshot(), arbitraryEdits(), ({ config, node }, first, edits) => {
        const linkNext = createIpvsLinker()
        const compile = createIpvsCompiler(config, node, family)
        let snapshot = first
        let { rules } = linkNext(compile(snapshot)).state
        for (const edit of edits) {
          snapshot = applyEdit(snapshot, edit)
          const { state, touched } = linkNext(compile(snapshot))
          expect(touched.rules).toBe(state.rules !== rules)
          expect(state.rules === rules).toBe(printSave(link(state.rules)) === printSave(link(rules)))
          rules = state.rules
        }
      }),
      { numRuns: 100 },
    )
  })
})

test('the order of objects in the input does not matter', () => {
  fc.assert(
    fc.property(arbitrarySetting(), arbitrarySnapshot(), ({ config, node }, given) => {
      const objects = rawObjectsOf(given)
      const read = (list: readonly unknown[]) =>
        assembleSnapshot(parseDocuments(listText(list), 'generated').objects).snapshot
      for (const family of FAMILIES) {
        const states = [objects, objects.toReversed()].map((list) =>
          plain(linkIpvs(createIpvsCompiler(config, node, family)(read(list)))),
        )
        expect(states[1]).toEqual(states[0])
      }
    }),
    { numRuns: 60 },
  )
})

/** A program in which the kernel refused some ServicePorts, which keep what they, or their namesakes, had. */
function keepSome(program: IpvsProgram, last: IpvsProgram | undefined, refusals: readonly number[]): IpvsProgram {
  const kept = program.servicePorts.flatMap((port, index) => {
    if (!refusals.includes(index)) return []
    const before = last?.servicePorts.find(({ name, protocol }) => name === port.name && protocol === port.protocol)
    const nothing = {
      owner: `${port.name} ${port.protocol}`,
      virtualServers: [],
      entries: [],
      addresses: [],
      outFilter: [],
    }
    return [[port, last && before ? ipvsChunkOf(last, before) : nothing] as const]
  })
  return kept.length === 0 ? program : { ...program, kept: new Map(kept) }
}

function expectTouched(
  before: Plain | undefined,
  now: Plain,
  touched: ReturnType<ReturnType<typeof createIpvsLinker>>['touched'],
): void {
  const texts = [...touched.entries].flatMap(([name, entries]) => [...entries].map((text) => `${name} ${text}`))
  const has = (map: ReadonlyMap<string, unknown> | undefined) => (key: string) => (map?.has(key) ? 1 : 0)
  const changedServers = keysThatDiffer(before?.virtualServers, now.virtualServers)
  expect(changedServers.filter((key) => !touched.virtualServers.has(key))).toEqual([])
  const entryKeys = [...new Set([...(before?.entries.keys() ?? []), ...now.entries.keys()])]
  const changedEntries = entryKeys.filter((key) => has(before?.entries)(key) !== has(now.entries)(key))
  expect(changedEntries.filter((key) => !texts.includes(key))).toEqual([])
  const addresses = [...(before?.addresses ?? []), ...now.addresses]
  const changedAddresses = addresses.filter((ip) => !(before?.addresses.includes(ip) && now.addresses.includes(ip)))
  const named: readonly string[] = [...touched.addresses]
  expect(changedAddresses.filter((ip) => !named.includes(ip))).toEqual([])
  expect(touched.rules || before?.rules === now.rules).toBe(true)
}

function keysThatDiffer(before: ReadonlyMap<string, string> | undefined, now: ReadonlyMap<string, string>) {
  return [...new Set([...(before?.keys() ?? []), ...now.keys()])].filter((key) => before?.get(key) !== now.get(key))
}
