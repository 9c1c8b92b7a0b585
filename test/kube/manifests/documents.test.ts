import { describe, expect, it } from 'vitest'
import { parseDocuments } from '../../../src/kube/manifests/documents.ts'
import { formatIssue } from '../../../src/model/issue.ts'

function valuesIn(text: string): readonly unknown[] {
  return parseDocuments(text, 'f.yaml').objects.map(({ value }) => value)
}

function issuesIn(text: string): readonly string[] {
  return parseDocuments(text, 'f.yaml').issues.map(formatIssue)
}

describe('documents', () => {
  it('reads several YAML documents and skips the empty ones', () => {
    expect(valuesIn('# first\n---\nkind: A\n---\n---\n# nothing\n---\nkind: B\n...\n---\nkind: C\n')).toEqual([
      { kind: 'A' },
      { kind: 'B' },
      { kind: 'C' },
    ])
  })

  it('numbers documents and counts lines from the beginning of the text', () => {
    const { objects } = parseDocuments('# c\n---\nkind: A\n---\n\nkind: B\nspec:\n  ports:\n  - port: 1\n', 'f')
    expect(objects.map(({ at }) => at)).toEqual([
      { source: 'f', document: 1, line: 3 },
      { source: 'f', document: 2, line: 6 },
    ])
    expect(objects[1]?.lineOf?.(['spec', 'ports', 0, 'port'])).toBe(9)
    expect(objects[1]?.lineOf?.(['spec', 'ports', 7, 'port'])).toBe(8)
  })

  it('gives no document number when there is only one', () => {
    expect(parseDocuments('kind: A\n', 'f').objects[0]?.at).toEqual({ source: 'f', line: 1 })
  })

  it('reads JSON, JSON with a byte order mark, and JSON objects one after the other', () => {
    expect(valuesIn('{"kind":"A"}')).toEqual([{ kind: 'A' }])
    expect(valuesIn('\ufeff{"kind":"A"}')).toEqual([{ kind: 'A' }])
    expect(valuesIn('{"kind":"A","x":"}{\\""}\n{"kind":"B"}{}')).toEqual([{ kind: 'A', x: '}{"' }, { kind: 'B' }, {}])
    expect(valuesIn('{"kind":"A"}\n---\n{"kind":"B"}\n')).toEqual([{ kind: 'A' }, { kind: 'B' }])
  })

  it('reads maps of the YAML flow style, also with keys in quotes', () => {
    expect(valuesIn('{kind: A}\n---\n{"kind": B, }\n')).toEqual([{ kind: 'A' }, { kind: 'B' }])
  })

  it('takes lists apart and completes the items of a list of one kind', () => {
    const list = { apiVersion: 'v1', kind: 'ServiceList', items: [{ metadata: { name: 'a' } }] }
    const complete = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } }
    expect(valuesIn(JSON.stringify(list))).toEqual([complete])
    expect(valuesIn('apiVersion: v1\nkind: ServiceList\nitems:\n- metadata:\n    name: a\n')).toEqual([complete])
    expect(valuesIn('apiVersion: v1\nkind: List\nitems:\n- kind: List\n  items: [{kind: A}]\n')).toEqual([
      { kind: 'A' },
    ])
    expect(valuesIn('apiVersion: v1\nkind: List\nitems: []\n')).toEqual([])
  })

  it('looks up lines of items in JSON lists', () => {
    const list = { kind: 'List', metadata: { items: [{}] }, items: [{ a: '{' }, { b: { c: [1, 2] } }] }
    const { objects } = parseDocuments(JSON.stringify(list, undefined, 1), 'f')
    expect(objects.map(({ lineOf }) => lineOf?.([]))).toEqual([9, 12])
    expect(objects[1]?.lineOf?.(['b', 'c', 1])).toBe(16)
    expect(objects[1]?.lineOf?.(['b', 'missing'])).toBe(13)
  })

  it('keeps a number with a leading zero as text, and does not mistake words for booleans', () => {
    expect(valuesIn('a: 010\nb: 10\nc: yes\nd: true\ne: 0x10\n')).toEqual([
      { a: '010', b: 10, c: 'yes', d: true, e: 16 },
    ])
  })

  it('resolves anchors and merge keys, across items of a list too', () => {
    expect(valuesIn('kind: List\nitems:\n- &a {kind: A}\n- <<: *a\n  b: 1\n- *a\n')).toEqual([
      { kind: 'A' },
      { kind: 'A', b: 1 },
      { kind: 'A' },
    ])
  })

  it('gives a directive to the YAML parser', () => {
    expect(valuesIn('%YAML 1.2\n---\nkind: A\n---\nkind: B\n')).toEqual([{ kind: 'A' }, { kind: 'B' }])
  })

  it('does not let a key named __proto__ become a prototype', () => {
    for (const text of ['{"__proto__": {"kind": "A"}}', '__proto__:\n  kind: A\n']) {
      const [value] = valuesIn(text)
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
      expect(value).not.toHaveProperty('kind')
    }
  })

  it('reports its progress up to the end', () => {
    const heard: number[] = []
    parseDocuments('kind: List\nitems:\n- a: 1\n- b: 2\n---\nkind: A\n', 'f', (fraction) => heard.push(fraction))
    expect(heard).toEqual(heard.toSorted((a, b) => a - b))
    expect(heard.length).toBeGreaterThanOrEqual(4)
    expect(heard.at(-1)).toBe(1)
  })
})

describe('broken documents', () => {
  it('names file, document and line of broken YAML and reads the other documents', () => {
    const text = 'kind: A\n---\nkind: B\nspec: [1\n---\nkind: C\n'
    expect(valuesIn(text)).toEqual([{ kind: 'A' }, { kind: 'C' }])
    expect(issuesIn(text)).toEqual([
      expect.stringMatching(/^f\.yaml, document 2, line [45]: broken YAML: .*correct it/),
    ])
  })

  it('drops only the broken items of a YAML list', () => {
    const text =
      'kind: List\nitems:\n- kind: A\n- kind: B\n  x: "1\n- kind: C\n- kind: D\n  a: 1\n  a: 2\nmetadata: {}\n'
    expect(valuesIn(text)).toEqual([{ kind: 'A' }, { kind: 'C' }])
    expect(issuesIn(text)).toEqual([
      expect.stringMatching(/^f\.yaml, line [56]: broken YAML/),
      'f.yaml, line 9: the key "a" stands twice in one map: keep one of them',
    ])
  })

  it('names line and column of broken JSON', () => {
    expect(issuesIn('{\n "kind": "A"\n "x": 1\n}')).toEqual([
      'f.yaml, line 3: broken JSON: comma expected at column 2: correct it there',
    ])
    expect(valuesIn('{"kind":"A"}\n{"kind":}\n{"kind":"C"}')).toEqual([{ kind: 'A' }, { kind: 'C' }])
    expect(issuesIn('{"kind":"A"}\n{"kind":}\n{"kind":"C"}')).toEqual([
      'f.yaml, line 2: broken JSON: value expected at column 9: correct it there',
    ])
    expect(issuesIn('{"kind":"A"} x')).toHaveLength(1)
    expect(issuesIn('{"kind":')).toHaveLength(1)
  })

  it('reports duplicate keys of JSON, also when escapes and colons hide them, and drops only their item', () => {
    const text = '{"kind":"List","items":[{"kind":"A"},\n{"kind":"B","x":{"\\u0061:\\"":1,"a:\\"":2}},{"kind":"C"}]}'
    expect(valuesIn(text)).toEqual([{ kind: 'A' }, { kind: 'C' }])
    expect(issuesIn(text)).toEqual(['f.yaml, line 2: the key "a:\\"" stands twice in one object: keep one of them'])
    expect(valuesIn('{"kind":"A","kind":"B"}')).toEqual([])
  })

  it.each([
    ['a list', '[1]'],
    ['a string', 'text'],
    ['a number', '{"kind":"List","items":[5]}'],
    ['empty', 'kind: List\nitems:\n-\n'],
  ])('says that %s is not an object', (what, text) => {
    expect(issuesIn(text)).toEqual([
      `f.yaml, line ${text.startsWith('k') ? 3 : 1}: is ${what} and not a Kubernetes object: write a map with apiVersion and kind`,
    ])
  })

  it('survives text that is nested without end', () => {
    for (const piece of ['[', '{"a":', '- ']) expect(issuesIn(piece.repeat(50_000))).toHaveLength(1)
  })

  it('refuses aliases that multiply without end', () => {
    const levels = Array.from({ length: 12 }, (_, n) => `k${n}: &k${n} [${`*k${n - 1},`.repeat(n === 0 ? 0 : 9)} x]`)
    expect(issuesIn(levels.join('\n'))).toEqual([expect.stringMatching(/alias/i)])
  })
})
