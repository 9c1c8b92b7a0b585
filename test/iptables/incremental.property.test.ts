import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assembleSnapshot,
  compile,
  createCompiler,
  link,
  parseDocuments,
  printPayload,
  printSave,
} from '../../src/index.ts'
import type { Program } from '../../src/iptables/program.ts'
import { FAMILIES } from '../../src/model/address.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { arbitrarySnapshot, bulkEntry, entryOf, snapshotOf } from '../support/arbitrary-cluster.ts'
import { applyEdit, arbitraryEdits } from '../support/arbitrary-edit.ts'
import { arbitrarySetting } from '../support/arbitrary-node.ts'
import { listText, rawObjectsOf } from '../support/raw-snapshot.ts'

function textsOf(program: Program): readonly string[] {
  return [printPayload(program), printSave(link(program))]
}

describe.each(FAMILIES)('one compiler of %s rules, edit after edit', (family) => {
  test('gives what compiling from scratch gives', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySnapshot(), arbitraryEdits(), ({ config, node }, first, edits) => {
        const compiler = createCompiler(config, node, family)
        let snapshot = first
        expect(textsOf(compiler(snapshot))).toEqual(textsOf(compile(snapshot, config, node, family)))
        for (const edit of edits) {
          snapshot = applyEdit(snapshot, edit)
          expect(textsOf(compiler(snapshot))).toEqual(textsOf(compile(snapshot, config, node, family)))
        }
      }),
      { numRuns: 120 },
    )
  })

  test('gives it too when very many Services come, go and change at once', () => {
    const names = Array.from({ length: 150 }, (_, index) => `s${index}`)
    const some = fc.oneof(fc.shuffledSubarray(names), fc.constant(names))
    fc.assert(
      fc.property(arbitrarySetting(), some, some, some, ({ config, node }, first, second, changed) => {
        const compiler = createCompiler(config, node, family)
        const { service, slices } = bulkEntry(8)
        const entries = new Map(names.map((name) => [name, entryOf({ ...service, name }, slices)]))
        const snapshot = (chosen: readonly string[]) => snapshotOf(chosen.flatMap((name) => entries.get(name) ?? []))
        for (const chosen of [first, second, [], first]) {
          const given = snapshot(chosen)
          const program = compiler(given)
          const scratch = compile(given, config, node, family)
          expect(program.servicePorts.map(({ name }) => name)).toEqual(scratch.servicePorts.map(({ name }) => name))
          expect(program.settings).toEqual(scratch.settings)
          expect(program.servicePorts).toEqual(scratch.servicePorts)
          for (const name of changed)
            entries.set(name, entryOf({ ...service, name, internalTrafficPolicy: 'Local' }, []))
        }
      }),
      { numRuns: 15 },
    )
  })

  test('keeps the ServicePorts of Services that no edit touched, and only these', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySnapshot(), arbitraryEdits(), ({ config, node }, first, edits) => {
        const compiler = createCompiler(config, node, family)
        let snapshot = first
        let before = compiler(snapshot)
        for (const edit of edits) {
          const next = applyEdit(snapshot, edit)
          const untouched = new Set(
            next.services.filter((entry) => snapshot.services.includes(entry)).map((entry) => entry.key),
          )
          const program = compiler(next)
          for (const port of program.servicePorts) {
            expect(before.servicePorts.includes(port)).toBe(untouched.has(port.service))
          }
          snapshot = next
          before = program
        }
      }),
      { numRuns: 120 },
    )
  })

  test('has its ServicePorts sorted by name and protocol, each once', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySnapshot(), ({ config, node }, snapshot) => {
        const { servicePorts } = compile(snapshot, config, node, family)
        const keys = servicePorts.map(({ name, protocol }) => `${name} ${protocol}`)
        expect(keys).toEqual([...new Set(keys)].toSorted())
      }),
      { numRuns: 100 },
    )
  })
})

describe('the order of the input', () => {
  test('does not matter: objects in any order, endpoints of a slice in any order', () => {
    fc.assert(
      fc.property(
        arbitrarySetting(),
        arbitrarySnapshot(),
        fc.infiniteStream(fc.nat()),
        ({ config, node }, given, keys) => {
          const snapshot = {
            ...given,
            services: given.services.map((entry) => ({ ...entry, slices: withoutRepeats(entry.slices) })),
          }
          const objects = rawObjectsOf(snapshot)
          const shuffled = shuffle(objects, keys).map((object) =>
            Array.isArray(object['endpoints']) ? { ...object, endpoints: shuffle(object['endpoints'], keys) } : object,
          )
          for (const family of FAMILIES) {
            const expected = textsOf(compile(snapshot, config, node, family))
            expect(textsOf(compile(read(objects), config, node, family))).toEqual(expected)
            expect(textsOf(compile(read(shuffled), config, node, family))).toEqual(expected)
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})

function read(objects: readonly unknown[]): Snapshot {
  const { snapshot, issues } = assembleSnapshot(parseDocuments(listText(objects), 'generated').objects)
  expect(issues.filter((issue) => issue.severity === 'error')).toEqual([])
  return snapshot
}

/** An address that stands twice in one slice is decided by its order there, which is the slice's content. */
function withoutRepeats(slices: Snapshot['services'][number]['slices']): Snapshot['services'][number]['slices'] {
  return slices.map((slice) => ({
    ...slice,
    endpoints: [...new Map(slice.endpoints.map((endpoint) => [endpoint.ip, endpoint])).values()],
  }))
}

function shuffle<T>(items: readonly T[], keys: Iterator<number>): readonly T[] {
  return items
    .map((item) => ({ item, key: keys.next().value as number }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item)
}
