import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLineSplitter } from '../../../src/kube/api/line-splitter.ts'
import { createListSplitter } from '../../../src/kube/api/list-splitter.ts'

/** The text as chunks that are cut at these places, also in the middle of a character. */
function chunksOf(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text)
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length].toSorted((a, b) => a - b)
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place))
}

const cuts = fc.array(fc.nat(), { maxLength: 12 })
const jsonMap = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue())

describe('lines', () => {
  test('are the same however the bytes are cut, and only \\n ends one', () => {
    const line = fc.string({ unit: 'binary' }).map((text) => `${text.replaceAll('\n', '')}\r\u2028é`)
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('', 'unfinished'), cuts, (lines, rest, places) => {
        const found: string[] = []
        const split = createLineSplitter((text) => found.push(text))
        for (const chunk of chunksOf(lines.map((text) => `${text}\n`).join('') + rest, places)) split(chunk)
        expect(found).toEqual(lines.map((text) => Buffer.from(text).toString()))
      }),
    )
  })

  test('that never end are not gathered for ever', () => {
    const split = createLineSplitter(() => {})
    const chunk = Buffer.alloc(8 * 1024 * 1024, 'x')
    expect(() => {
      for (let n = 0; n < 5; n += 1) split(chunk)
    }).toThrow(RangeError)
  })
})

describe('items of a list', () => {
  test('are the same however the bytes are cut, and the rest is the list without them', () => {
    fc.assert(
      fc.property(fc.array(jsonMap), jsonMap, fc.boolean(), cuts, (items, metadata, spaced, places) => {
        const found: unknown[] = []
        const { write, envelope } = createListSplitter((text) => found.push(JSON.parse(text)))
        // Names that only look like the items must not be taken for them.
        const list = { kind: 'List', metadata: { ...metadata, items: [{ x: 1 }] }, items, after: '"items":[' }
        const text = JSON.stringify(list, undefined, spaced ? 2 : 0)
        for (const chunk of chunksOf(text, places)) write(chunk)
        expect(found).toEqual(JSON.parse(JSON.stringify(items)))
        expect(JSON.parse(envelope())).toEqual(JSON.parse(JSON.stringify({ ...list, items: [] })))
      }),
    )
  })

  test('of a list that was cut leave an envelope that is no JSON', () => {
    const text = JSON.stringify({ kind: 'List', metadata: { a: 1 }, items: [{ b: 2 }, { c: [3] }] })
    for (let length = 0; length < text.length; length += 1) {
      const { write, envelope } = createListSplitter(() => {})
      write(Buffer.from(text.slice(0, length)))
      expect(() => JSON.parse(envelope()) as unknown).toThrow(SyntaxError)
    }
  })

  test('are not looked for without end', () => {
    const { write } = createListSplitter(() => {})
    const page = Buffer.from('<html>'.repeat(100_000))
    expect(() => {
      for (let n = 0; n < 3; n += 1) write(page)
    }).toThrow(RangeError)
  })
})
