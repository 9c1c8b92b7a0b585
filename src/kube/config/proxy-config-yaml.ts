// The YAML (or JSON) side of reading KubeProxyConfiguration: one document to plain values, with the line of any field.
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
  type YAMLError,
} from 'yaml'
import type { Issue, Place } from '../../model/issue.ts'

/** Steps into a document: keys, and indexes as decimal text. */
export type FieldPath = readonly string[]

export interface ProxyConfigYaml {
  /** Undefined when the text can't be read. */
  readonly value: unknown
  readonly issues: readonly Issue[]
  readonly place: (path: FieldPath) => Place
}

// The YAML 1.1 reader of kube-proxy takes these for octal, a YAML 1.2 reader for decimal.
const LEADING_ZERO = /^[-+]?0\d+$/

/**
 * Reads the first document of the text as YAML 1.2. Duplicate keys are notices (the last one wins), and so are further
 * documents, which kube-proxy doesn't read either. Numbers with a leading zero mean something else to kube-proxy and are
 * errors, as are syntax errors.
 */
export function readProxyConfigYaml(text: string, source: string): ProxyConfigYaml {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true })
  const [document, second] = 'empty' in documents ? [] : documents
  const place = (path: FieldPath): Place => {
    const offset = document && findOffset(document, path)
    return {
      source,
      ...(offset !== undefined && { line: lines.linePos(offset).line }),
      ...(path.length > 0 && { field: formatFieldPath(path) }),
    }
  }
  if (document === undefined) {
    const message = 'the file is empty: write apiVersion, kind and the fields that differ from the defaults'
    return { value: undefined, issues: [{ severity: 'error', at: { source }, message }], place }
  }
  const issues = [
    ...document.errors.map((error) => {
      return describeYamlError(error, text, { source, line: lines.linePos(error.pos[0]).line })
    }),
    ...findLeadingZeros(document).map((node): Issue => {
      const at: Place = { source, line: lines.linePos(node.offset).line }
      return {
        severity: 'error',
        at,
        message: `${node.text} could be octal or decimal: write it without leading zeros`,
      }
    }),
  ]
  if (second?.range) {
    const at: Place = { source, document: 2, line: lines.linePos(second.range[0]).line }
    issues.push({ severity: 'notice', at, message: 'only the first document is read: remove the others' })
  }
  if (issues.some(({ severity }) => severity === 'error')) return { value: undefined, issues, place }
  try {
    return { value: document.toJS(), issues, place }
  } catch (error) {
    // Aliases without an anchor, or so many that they would exhaust memory, only show here.
    const message = `${error instanceof Error ? error.message : String(error)}: write the values out`
    return { value: undefined, issues: [...issues, { severity: 'error', at: { source }, message }], place }
  }
}

/** `nodePortAddresses[0]`, `iptables.masqueradeBit` */
export function formatFieldPath(path: FieldPath): string {
  return path.reduce((text, step) => {
    if (/^\d+$/.test(step)) return `${text}[${step}]`
    return text === '' ? step : `${text}.${step}`
  }, '')
}

function describeYamlError(error: YAMLError, text: string, at: Place): Issue {
  if (error.code !== 'DUPLICATE_KEY') {
    return { severity: 'error', at, message: `not valid YAML or JSON: ${error.message}` }
  }
  const key = /^["']?([\w.-]+)/.exec(text.slice(error.pos[0]))?.[1] ?? 'a key'
  const message = `${key} stands here a second time, and the last one counts: remove the other`
  return { severity: 'notice', at, message }
}

function findLeadingZeros(document: Document): readonly { readonly text: string; readonly offset: number }[] {
  const found: { readonly text: string; readonly offset: number }[] = []
  visit(document, {
    Scalar(_, { type, value, source, range }) {
      const isPlainNumber = type === 'PLAIN' && typeof value === 'number'
      if (isPlainNumber && source !== undefined && LEADING_ZERO.test(source)) {
        found.push({ text: source, offset: range?.[0] ?? 0 })
      }
    },
  })
  return found
}

// The offset of the deepest key or item on the path that the document has.
function findOffset(document: Document, path: FieldPath): number | undefined {
  let node: unknown = document.contents
  let offset: number | undefined
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.findLast(({ key }) => isScalar(key) && String(key.value) === step)
      offset = (pair?.key as Node | undefined)?.range?.[0] ?? offset
      node = pair?.value
    } else if (isSeq(node)) {
      node = node.items[Number(step)]
      offset = (node as Node | undefined)?.range?.[0] ?? offset
    }
  }
  return offset
}
