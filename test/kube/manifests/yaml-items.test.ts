import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { parseDocuments } from '../../../src/kube/manifests/documents.ts'
import { cutItems } from '../../../src/kube/manifests/yaml-items.ts'

// Text that looks like the structure around it.
const hostile = fc.constantFrom(
  '- a',
  'items:',
  '\n- x: 1\nitems:\n',
  ' - b\n- c',
  '# no',
  '---x',
  '"',
  "'",
  'a: b',
  '\n\n  |',
  '*x',
)
const scalar = fc.oneof(hostile, fc.string(), fc.integer(), fc.boolean(), fc.constant(null))
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie('value'), { maxKeys: 3 }),
  ),
}))
const item = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value ?? scalar, { minKeys: 1, maxKeys: 4 })

function startOf(text: string): readonly string[] | undefined {
  return cutItems(text)?.items.map(({ start, end }) => text.slice(start, end))
}

describe('items of a YAML list', () => {
  it('finds items with and without indentation, and what follows them', () => {
    expect(startOf('items:\n- a: 1\n  b:\n  - c\n# c\n- d\nkind: List\n')).toEqual([
      '- a: 1\n  b:\n  - c\n# c\n',
      '- d\n',
    ])
    expect(startOf('items: # all\n\n  - a: 1\n  -\n    b: 2\nkind: List')).toEqual(['  - a: 1\n', '  -\n    b: 2\n'])
    expect(cutItems('a: b\nitems:\n- x\nkind: List\n')?.rest).toBe('a: b\nitems:\n\nkind: List\n')
  })

  it('leaves other shapes to the parser', () => {
    expect(cutItems('items: [1]\n')).toBeUndefined()
    expect(cutItems('kind: A\nspec:\n  items:\n  - a\n')).toBeUndefined()
    expect(cutItems('items:\nkind: List\n')).toBeUndefined()
  })

  it('reads what reading the list as a whole gives, in every style', () => {
    const style = fc.record({
      defaultKeyType: fc.constant('PLAIN' as const),
      indentSeq: fc.boolean(),
      defaultStringType: fc.constantFrom(
        'PLAIN',
        'QUOTE_DOUBLE',
        'QUOTE_SINGLE',
        'BLOCK_LITERAL',
        'BLOCK_FOLDED' as const,
      ),
      lineWidth: fc.constantFrom(0, 21, 80),
    })
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 4 }), style, (items, options) => {
        const text = stringify({ apiVersion: 'v1', items, kind: 'List' }, options)
        const parsed = parseDocuments(text, 'f')
        expect(parsed.issues).toEqual([])
        expect(parsed.objects.map((object) => object.value)).toEqual(parse(text, { stringKeys: true }).items)
        expect(cutItems(text)?.items).toHaveLength(items.length)
      }),
      { numRuns: 300 },
    )
  })
})
