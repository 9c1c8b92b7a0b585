// Reads the raw objects that endpoints are derived from (Pod, Endpoints, parts of a Service). The building blocks are those
// of decode/decode-schema.ts, with what only these objects have: labels, and ports that may be names.
import * as v from 'valibot'
import { type Ip, parseIp } from '../../model/address.ts'
import type { Issue } from '../../model/issue.ts'
import { PROTOCOLS } from '../../model/object-name.ts'
import { quote, refuse, schemaIssues, text, objectTitle as titleOf } from '../decode/decode-schema.ts'
import type { RawObject } from './documents.ts'

/** Receives each issue as it is found. */
export type Report = (issue: Issue) => void

const HIGHEST_PORT = 65_535
const PORT_NAME = /^(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)?$/

export const labels = v.record(text, text, refuse('a map', 'write `key: value` lines'))

const isNoPort = refuse('a port', `use a whole number from 1 to ${HIGHEST_PORT}, without quotes`)
/** 1 to 65535. */
export const portNumber = v.pipe(
  v.number(isNoPort),
  v.integer(isNoPort),
  v.minValue(1, isNoPort),
  v.maxValue(HIGHEST_PORT, isNoPort),
)
const isNoTarget = refuse(
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
export const portName = v.pipe(text, v.regex(PORT_NAME, refuse('a port name', 'use a-z, 0-9 and -, at most 63')))
export const protocol = v.pipe(
  v.picklist(['TCP', 'UDP', 'SCTP'], refuse('a protocol', 'use TCP, UDP or SCTP')),
  v.transform((name) => PROTOCOLS.find((known) => known === name.toLowerCase()) ?? 'tcp'),
)

export const name = v.pipe(text, v.nonEmpty('is empty: give the object a name'))
/** As kubectl does for a manifest without a namespace. */
export const namespace = v.nullish(v.pipe(text, v.nonEmpty('is empty: leave it out or name a namespace')), 'default')

/** The object as the schema has it; undefined, with the reasons reported, at most ten, when it does not fit. */
export function readObject<Schema extends v.GenericSchema>(
  schema: Schema,
  object: RawObject,
  report: Report,
): v.InferOutput<Schema> | undefined {
  const result = v.safeParse(schema, object.value)
  if (result.success) return result.output
  const at = { ...object.at, object: objectTitle(object) }
  for (const issue of schemaIssues(result.issues, at)) report(issue)
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
  return titleOf(typeof value['kind'] === 'string' ? value['kind'] : 'object', value)
}
