// Text of manifests -> Kubernetes objects as they stand in it, each with its place. Reads YAML with several documents,
// JSON, several JSON objects one after the other, and lists, which are taken apart.
import type { Issue, Place } from '../../model/issue.ts'
import { looksLikeJson, splitDocuments } from './document-text.ts'
import { parseJson } from './json-document.ts'
import {
  completeItem,
  isList,
  isMapping,
  type LineOf,
  type ParsedDocument,
  type ParsedValue,
  type ValuePath,
} from './parsed-document.ts'
import { parseYaml } from './yaml-document.ts'

/** An object as somebody wrote it. Nothing about it is checked but that it is a map. */
export interface RawObject {
  readonly value: Record<string, unknown>
  readonly at: Place
  /** Looked up when it is asked for, so ask only to report something. */
  readonly lineOf?: (path: ValuePath) => number | undefined
}

export interface Documents {
  readonly objects: readonly RawObject[]
  readonly issues: readonly Issue[]
}

/**
 * All objects in the text, in order. `source` is what messages call it: a path or `<stdin>`. A broken document is an
 * issue, and so is a broken item of a list in YAML; the others are still read. `onProgress` hears how much is done,
 * from 0 to 1.
 */
export function parseDocuments(text: string, source: string, onProgress?: (fraction: number) => void): Documents {
  const objects: RawObject[] = []
  const issues: Issue[] = []
  const documents = splitDocuments(text)
  let done = 0
  for (const [index, document] of documents.entries()) {
    const share = document.end - done
    const { values, problems } = parseDocumentText(document.text, document.line, (fraction) =>
      onProgress?.((done + fraction * share) / text.length),
    )
    done = document.end
    onProgress?.(done / text.length)
    const at: Place = { source, ...(documents.length > 1 && { document: index + 1 }) }
    for (const { message, line } of problems) issues.push(errorAt(at, line, message))
    for (const value of values) collectObjects(value, at, objects, issues)
  }
  return { objects, issues }
}

function parseDocumentText(text: string, line: number, onProgress: (fraction: number) => void): ParsedDocument {
  // A line `---` before JSON is no JSON.
  const json = text.replace(/^---[ \t]*(?=\r?\n)/, '')
  if (!looksLikeJson(json)) return parseYaml(text, line, onProgress)
  const parsed = parseJson(json, line)
  if (parsed.values.length > 0 || json.length > LONGEST_FLOW) return parsed
  // Maps and lists of YAML can look like JSON too.
  const yaml = parseYaml(text, line, onProgress)
  return yaml.problems.length > 0 ? parsed : yaml
}

/** Nobody writes maps and lists in YAML's flow style by the megabyte, and trying costs a second for each. */
const LONGEST_FLOW = 1_000_000

function collectObjects(parsed: ParsedValue, at: Place, objects: RawObject[], issues: Issue[]): void {
  const { value, line, lineOf } = parsed
  if (!isMapping(value)) {
    const message = `is ${describe(value)} and not a Kubernetes object: write a map with apiVersion and kind`
    issues.push(errorAt(at, line ?? lineOf([]), message))
  } else if (!isList(value)) {
    objects.push({ value, at: { ...at, ...(line !== undefined && { line }) }, lineOf })
  } else {
    const items: unknown = value['items'] ?? []
    if (!Array.isArray(items)) issues.push(errorAt(at, lineOf(['items']), 'items is not a list: write `- ` items'))
    else for (const item of itemsOf(value, items, lineOf)) collectObjects(item, at, objects, issues)
  }
}

function itemsOf(list: Record<string, unknown>, items: readonly unknown[], lineOf: LineOf): readonly ParsedValue[] {
  return items.map((item, index) => ({
    value: completeItem(list, item),
    lineOf: (path) => lineOf(['items', index, ...path]),
  }))
}

function describe(value: unknown): string {
  if (value === null) return 'empty'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}

function errorAt(at: Place, line: number | undefined, message: string): Issue {
  return { severity: 'error', at: { ...at, ...(line !== undefined && { line }) }, message }
}
