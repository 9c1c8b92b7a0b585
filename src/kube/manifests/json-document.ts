// JSON to values. JSON.parse is ten times as fast as a parser that keeps positions, but takes duplicate keys silently
// and doesn't know lines; so a second look with positions is taken only when something is wrong.
import { findNodeAtLocation, parseTree, printParseErrorCode, visit } from 'jsonc-parser'
import { countKeysInText, cutValues, findItems, type ItemPlace } from './json-text.ts'
import {
  completeItem,
  countLines,
  isList,
  type LineOf,
  type ParsedDocument,
  type ParsedValue,
  type Problem,
  problemOf,
  type ValuePath,
} from './parsed-document.ts'

const STRICT = { disallowComments: true, allowTrailingComma: false }

/** One JSON value, or several one after the other; `line` is where the text begins. */
export function parseJson(text: string, line: number): ParsedDocument {
  try {
    return parseOne(text, line)
  } catch (error) {
    if (!(error instanceof SyntaxError)) return { values: [], problems: [problemOf(error, line)] }
    const parts = cutValues(text)
    return parts.length > 1 ? parseSeveral(text, parts, line) : { values: [], problems: [syntaxProblem(text, line)] }
  }
}

/** @throws SyntaxError when the text is not one JSON value. */
function parseOne(text: string, line: number): ParsedDocument {
  const value: unknown = JSON.parse(text)
  const lineOf = findLines(text, line, value)
  if (countKeys(value) === countKeysInText(text)) return { values: [{ value, lineOf }], problems: [] }
  const duplicates = findDuplicateKeys(text)
  const problems = duplicates.map(({ key, at }) => ({
    message: `the key ${JSON.stringify(key)} stands twice in one object: keep one of them`,
    line: line + at,
  }))
  const broken = new Set(duplicates.map(({ path }) => (path[0] === 'items' ? path[1] : undefined)))
  if (broken.has(undefined) || !isList(value) || !Array.isArray(value['items'])) return { values: [], problems }
  const items: readonly unknown[] = value['items']
  const values = items.flatMap((item, index): readonly ParsedValue[] =>
    broken.has(index)
      ? []
      : [{ value: completeItem(value, item), lineOf: (path) => lineOf(['items', index, ...path]) }],
  )
  return { values, problems }
}

function parseSeveral(text: string, parts: readonly (readonly [number, number])[], line: number): ParsedDocument {
  const documents = parts.map(([start, end]) => {
    const part = text.slice(start, end)
    const partLine = line + countLines(text, 0, start)
    try {
      return parseOne(part, partLine)
    } catch {
      return { values: [], problems: [syntaxProblem(part, partLine)] }
    }
  })
  return {
    values: documents.flatMap(({ values }) => values),
    problems: documents.flatMap(({ problems }) => problems),
  }
}

function syntaxProblem(text: string, line: number): Problem {
  let problem: Problem = { message: 'is not JSON: check what wrote it', line }
  let found = false
  try {
    visit(
      text,
      {
        onError: (code, _offset, _length, errorLine, column) => {
          if (found) return
          found = true
          // `CommaExpected` -> `comma expected`
          const reason = printParseErrorCode(code)
            .replaceAll(/(?<=.)(?=[A-Z])/g, ' ')
            .toLowerCase()
          problem = {
            message: `broken JSON: ${reason} at column ${column + 1}: correct it there`,
            line: line + errorLine,
          }
        },
      },
      STRICT,
    )
  } catch (error) {
    return problemOf(error, line)
  }
  return problem
}

function countKeys(root: unknown): number {
  let count = 0
  const open: unknown[] = [root]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value !== 'object' || value === null) continue
    const members = Object.values(value)
    if (!Array.isArray(value)) count += members.length
    for (const member of members) if (typeof member === 'object') open.push(member)
  }
  return count
}

interface DuplicateKey {
  readonly key: string
  readonly path: ValuePath
  /** Counted from 0. */
  readonly at: number
}

function findDuplicateKeys(text: string): readonly DuplicateKey[] {
  const found: DuplicateKey[] = []
  const open: Set<string>[] = []
  visit(text, {
    onObjectBegin: () => void open.push(new Set()),
    onObjectEnd: () => void open.pop(),
    onObjectProperty: (key, _offset, _length, at, _column, path) => {
      const keys = open.at(-1)
      if (keys?.has(key)) found.push({ key, path: path(), at })
      keys?.add(key)
    },
  })
  return found
}

/** Lines are looked up when they are asked for; the places of a list's items are found once. */
function findLines(text: string, firstLine: number, value: unknown): LineOf {
  let items: readonly ItemPlace[] | undefined
  return (path) => {
    items ??= findItems(text, value)
    const [first, index, ...rest] = path
    const item = first === 'items' && typeof index === 'number' ? items[index] : undefined
    if (item === undefined) return firstLine + countLines(text, 0, offsetOf(text, path))
    return firstLine + item.line + countLines(text, item.offset, item.offset + offsetOf(text.slice(item.offset), rest))
  }
}

function offsetOf(text: string, path: ValuePath): number {
  const tree = parseTree(text)
  if (tree === undefined) return 0
  for (let length = path.length; length > 0; length--) {
    const node = findNodeAtLocation(tree, path.slice(0, length))
    // The property begins with its key, which may stand lines before its value.
    if (node !== undefined) return node.parent?.type === 'property' ? node.parent.offset : node.offset
  }
  return tree.offset
}
