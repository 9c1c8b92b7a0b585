// What the JSON and the YAML parser both return: the values of one document, and what was wrong with it.

/** Where in a value: `['spec', 'ports', 0, 'port']`. */
export type ValuePath = readonly (string | number)[]

/** The line, counted from 1 in the whole input, of what stands at the path, or of the nearest thing around it. */
export type LineOf = (path: ValuePath) => number | undefined

export interface ParsedValue {
  readonly value: unknown
  readonly lineOf: LineOf
  /** The line it begins at, where that is known without looking it up. */
  readonly line?: number
}

export interface Problem {
  readonly message: string
  /** Counted from 1 in the whole input. */
  readonly line?: number
}

/** A parser that can read the items of a list one by one returns them instead of the list. */
export interface ParsedDocument {
  readonly values: readonly ParsedValue[]
  readonly problems: readonly Problem[]
}

export type Mapping = Record<string, unknown>

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether the value is a `v1/List` or the list of one kind, such as `ServiceList`. */
export function isList(value: unknown): value is Mapping {
  if (!isMapping(value) || typeof value['kind'] !== 'string') return false
  return value['kind'] === 'List' || (value['kind'].endsWith('List') && 'items' in value)
}

/** The item with `kind` and `apiVersion`, which the API server leaves out in the items of, say, a `ServiceList`. */
export function completeItem(list: Mapping, item: unknown): unknown {
  const { kind, apiVersion } = list
  if (!isMapping(item) || typeof kind !== 'string' || kind === 'List' || 'kind' in item) return item
  return { apiVersion, kind: kind.slice(0, -'List'.length), ...item }
}

/** Counts line ends in `text` between two offsets. */
export function countLines(text: string, from: number, to: number): number {
  let count = 0
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++
  return count
}

/** For text that a parser can't take at all, for example because it is nested a hundred thousand times. */
export function problemOf(error: unknown, line: number): Problem {
  const [reason] = (error instanceof Error ? error.message : String(error)).split('\n')
  const message =
    error instanceof RangeError ? 'is nested too deeply to be read: flatten it' : `can't be read: ${reason ?? ''}`
  return { message, line }
}
