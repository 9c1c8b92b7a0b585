// One YAML document to values. Numbers and booleans are read as YAML 1.2 has them; where kubectl, which reads YAML 1.1,
// would see another number (`010`, `yes`) the value stays text here, so that the decoder refuses it.
import { type Document, isMap, isScalar, isSeq, type Node, parseAllDocuments, parseDocument } from 'yaml'
import {
  completeItem,
  countLines,
  isList,
  type LineOf,
  type Mapping,
  type ParsedDocument,
  type ParsedValue,
  type Problem,
  problemOf,
  type ValuePath,
} from './parsed-document.ts'
import { cutItems } from './yaml-items.ts'

const LEADING_ZERO = {
  tag: 'tag:yaml.org,2002:str',
  default: true,
  test: /^[-+]?0\d+$/,
  resolve: (text: string) => text,
} as const

const OPTIONS = {
  version: '1.2',
  merge: true,
  stringKeys: true,
  prettyErrors: false,
  logLevel: 'error',
  customTags: (tags: readonly unknown[]) => [LEADING_ZERO, ...tags],
} as Parameters<typeof parseDocument>[1]

/**
 * `line` is where the text begins. `onProgress` hears how much of it is done, from 0 to 1.
 */
export function parseYaml(text: string, line: number, onProgress: (fraction: number) => void): ParsedDocument {
  try {
    return parseItems(text, line, onProgress) ?? parseWhole(text, line)
  } catch (error) {
    return { values: [], problems: [problemOf(error, line)] }
  }
}

function parseWhole(text: string, line: number): ParsedDocument {
  const values: ParsedValue[] = []
  const problems: Problem[] = []
  const documents = parseAllDocuments(text, OPTIONS)
  for (const document of documents) {
    const broken = problemsIn(document, text, line)
    problems.push(...broken)
    if (broken.length > 0) continue
    const value: unknown = document.toJS()
    if (value === null) continue
    const start = line + countLines(text, 0, startOf(document.contents) ?? 0)
    values.push({ value, line: start, lineOf: (path) => line + countLines(text, 0, offsetOf(document.contents, path)) })
  }
  return { values, problems }
}

/**
 * Reads a list item by item: a tenth of the memory, and a broken item costs only itself. Undefined when the text is not
 * clearly such a list, or when its items refer to each other.
 */
function parseItems(text: string, line: number, onProgress: (fraction: number) => void): ParsedDocument | undefined {
  const cut = cutItems(text)
  if (cut === undefined) return undefined
  const list = parseListWithout(cut.rest)
  if (list === undefined) return undefined
  const values: ParsedValue[] = []
  const problems: Problem[] = []
  let itemLine = line + countLines(text, 0, cut.items[0]?.start ?? 0)
  for (const { start, end } of cut.items) {
    // A copy: pieces of it that live on, such as names, would otherwise keep the whole text in memory.
    const itemText = ` ${text.slice(start, end)}`.slice(1)
    const item = parseItem(itemText, itemLine, list)
    if (item === undefined) return undefined
    values.push(...item.values)
    problems.push(...item.problems)
    itemLine += countLines(text, start, end)
    onProgress(end / text.length)
  }
  return { values, problems }
}

/** The list as it is without its items; undefined when it is none. */
function parseListWithout(rest: string): Mapping | undefined {
  const document = parseDocument(rest, OPTIONS)
  if (document.errors.length > 0) return undefined
  const list: unknown = document.toJS()
  return isList(list) ? list : undefined
}

/** Undefined when the item can't be understood alone. */
function parseItem(text: string, line: number, list: Mapping): ParsedDocument | undefined {
  const document = parseDocument(text, OPTIONS)
  const problems = problemsIn(document, text, line)
  if (problems.length > 0) return { values: [], problems }
  const value = toValue(document)
  if (!Array.isArray(value) || value.length !== 1) return undefined
  const lineOf: LineOf = (path) =>
    line + countLines(text, 0, offsetOf(parseDocument(text, OPTIONS).contents, [0, ...path]))
  return { values: [{ value: completeItem(list, value[0]), line, lineOf }], problems }
}

/** Undefined when it can't be resolved, as when it refers to an anchor in another item. */
function toValue(document: Document.Parsed): unknown {
  try {
    return document.toJS()
  } catch {
    return undefined
  }
}

function problemsIn(document: Document.Parsed, text: string, line: number): readonly Problem[] {
  const [first] = document.errors
  if (first === undefined) return []
  // What follows the first error in one document is mostly its echo; duplicate keys are each their own.
  const told = first.code === 'DUPLICATE_KEY' ? document.errors.filter(({ code }) => code === first.code) : [first]
  return told.map(({ code, message, pos }) => ({
    message:
      code === 'DUPLICATE_KEY'
        ? `the key ${JSON.stringify(keyAt(text, pos[0]))} stands twice in one map: keep one of them`
        : `broken YAML: ${message.trim()}: correct it there`,
    line: line + countLines(text, 0, pos[0]),
  }))
}

function keyAt(text: string, offset: number): string {
  return /^["']?([^\s:"']*)/.exec(text.slice(offset, offset + 80))?.[1] ?? ''
}

function startOf(node: Node | null): number | undefined {
  return node?.range?.[0]
}

/** Where the thing at the path begins, its key included, or the nearest thing around it that there is. */
function offsetOf(root: Node | null, path: ValuePath): number {
  let node: unknown = root
  let offset = startOf(root) ?? 0
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step)
      if (!isScalar(pair?.key)) return offset
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step]
      offset = startOf(node as Node | null) ?? offset
    } else return offset
  }
  return offset
}
