// Building blocks for reading the raw objects that endpoints are derived from (Pod, Endpoints, parts of a Service), with
// messages that say what to do. Unknown fields are ignored; null is the same as absent, as in the Kubernetes API.
import * as v from 'valibot'
import { type Ip, parseIp } from '../../model/address.ts'
import type { Issue } from '../../model/issue.ts'
import { PROTOCOLS } from '../../model/object-name.ts'
import type { RawObject } from './documents.ts'

/** Receives each issue as it is found. */
export type Report = (issue: Issue) => void

const LONGEST_QUOTE = 60
const HIGHEST_PORT = 65_535
const PORT_NAME = /^(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)?$/

export const text = v.string(otherwise('text', 'put it in quotes'))
export const flag = v.boolean(otherwise('true or false', 'write true or false, without quotes'))
export const labels = v.record(text, text, otherwise('a map', 'write `key: value` lines'))

const isNoPort = otherwise('a port', `use a whole number from 1 to ${HIGHEST_PORT}, without quotes`)
/** 1 to 65535. */
export const portNumber = v.pipe(
  v.number(isNoPort),
  v.integer(isNoPort),
  v.minValue(1, isNoPort),
  v.maxValue(HIGHEST_PORT, isNoPort),
)
const isNoTarget = otherwise(
  'a port',
  `use a number from 1 to ${HIGHEST_PORT}, without quotes, or the name of a container port`,
)
/** The port that a Service sends to: 0 stands for the Service's own port, text for the name of a container's port. */
export const targetPort = v.pipe(
  v.union([v.number(), v.string()], isNoTarget),
  v.check(
    (target) =>
      typeof target === 'string'
        ? !/^\d+$/.test(target)
        : Number.isInteger(target) && target >= 0 && target <= HIGHEST_PORT,
    isNoTarget,
  ),
)
export const portName = v.pipe(text, v.regex(PORT_NAME, otherwise('a port name', 'use a-z, 0-9 and -, at most 63')))
export const protocol = v.pipe(
  v.picklist(['TCP', 'UDP', 'SCTP'], otherwise('a protocol', 'use TCP, UDP or SCTP')),
  v.transform((name) => PROTOCOLS.find((known) => known === name.toLowerCase()) ?? 'tcp'),
)

export const name = v.pipe(text, v.nonEmpty('is empty: give the object a name'))
/** As kubectl does for a manifest without a namespace. */
export const namespace = v.nullish(v.pipe(text, v.nonEmpty('is empty: leave it out or name a namespace')), 'default')

/** A map of known fields. */
export function fields<Entries extends v.ObjectEntries>(entries: Entries) {
  return v.object(entries, otherwise('a map', 'write `key: value` lines'))
}

/** A list; absent means empty. */
export function list<Item extends v.GenericSchema>(item: Item) {
  return v.nullish(v.array(item, otherwise('a list', 'write `- ` items, or leave it out')), [])
}

/** Absent stays absent. */
export function optional<Schema extends v.GenericSchema>(schema: Schema) {
  return v.nullish(schema, () => undefined)
}

/** The object as the schema has it; undefined, with every reason reported, when it does not fit. */
export function readObject<Schema extends v.GenericSchema>(
  schema: Schema,
  object: RawObject,
  report: Report,
): v.InferOutput<Schema> | undefined {
  const result = v.safeParse(schema, object.value)
  if (result.success) return result.output
  for (const issue of result.issues) {
    const field = fieldPath(issue.path ?? [])
    report({
      severity: 'error',
      at: { ...object.at, object: objectTitle(object), ...(field !== '' && { field }) },
      message: issue.message,
    })
  }
  return undefined
}

/** The canonical address that stands in `field`; undefined, and reported, when it is none. */
export function readIp(given: string, object: RawObject, field: string, report: Report): Ip | undefined {
  const ip = parseIp(given)
  if (ip === undefined) {
    const message = `${quote(given)} is not an IP address: write one such as 10.0.0.1 or fd00::1`
    report({ severity: 'error', at: { ...object.at, object: objectTitle(object), field }, message })
  }
  return ip
}

/** `Pod ns1/web-0`, with what is known of it. */
export function objectTitle({ value, at }: RawObject): string {
  if (at.object !== undefined) return at.object
  const { kind, metadata } = value
  const known: { namespace?: unknown; name?: unknown } =
    typeof metadata === 'object' && metadata !== null ? metadata : {}
  const title = typeof known.name === 'string' && known.name !== '' ? known.name : '(no name)'
  const space = typeof known.namespace === 'string' && known.namespace !== '' ? known.namespace : 'default'
  return `${typeof kind === 'string' ? kind : 'object'} ${space}/${title}`
}

/** `spec.ports[0].port` */
function fieldPath(path: readonly { readonly key: unknown }[]): string {
  return path
    .map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
}

function otherwise(wanted: string, advice: string): (issue: { readonly input: unknown }) => string {
  return ({ input }) => (input === undefined ? 'is missing: add it' : `${quote(input)} is not ${wanted}: ${advice}`)
}

/** A value of a stranger in one short line. */
function quote(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  const shown = JSON.stringify(value) ?? String(value)
  return shown.length > LONGEST_QUOTE ? `${shown.slice(0, LONGEST_QUOTE)}...` : shown
}
