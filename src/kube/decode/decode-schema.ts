// Building blocks of the schemas for Service, EndpointSlice and Node, with messages that say what to do. Fields that are
// not in a schema are ignored; null is the same as absent, as in the Kubernetes API.
import * as v from 'valibot'
import type { Issue, Place } from '../../model/issue.ts'
import type { Protocol } from '../../model/object-name.ts'
import { isMapping } from '../manifests/parsed-document.ts'
import { isDnsLabel, isDnsSubdomain } from './names.ts'

/** An object that could be read, or only the reasons why not. */
export interface Decoded<T> {
  readonly object?: T
  readonly issues: readonly Issue[]
}

const HIGHEST_PORT = 65_535
const LONGEST_QUOTE = 60
const MOST_ISSUES = 10
/** Longer than anything that Kubernetes lets into the fields read here. */
const LONGEST_TEXT = 253

export const text = v.string(refuse('text', 'put it in quotes'))
/** Text that is kept and only compared. */
export const shortText = v.pipe(
  text,
  v.maxLength(LONGEST_TEXT, `is longer than ${LONGEST_TEXT} characters: shorten it to the name that it stands for`),
)
export const flag = v.boolean(refuse('true or false', 'write true or false, without quotes'))
export const port = numberBetween(1, HIGHEST_PORT, 'port')
/** 0 stands for none. */
export const optionalPort = v.nullish(numberBetween(0, HIGHEST_PORT, 'port'), 0)

export const dnsLabel = v.pipe(
  text,
  v.check(isDnsLabel, refuse('a name', 'use a-z, 0-9 and -, at most 63, beginning and ending with a letter or digit')),
)
export const dnsSubdomain = v.pipe(
  text,
  v.check(isDnsSubdomain, refuse('a name', 'use a-z, 0-9, - and dots, at most 253, each part as a DNS name has it')),
)
/** Of a port; empty for an unnamed one. */
export const portName = v.pipe(
  text,
  v.check(
    (name) => name === '' || isDnsLabel(name),
    refuse('a port name', 'use a-z, 0-9 and -, at most 63, beginning and ending with a letter or digit'),
  ),
)

const PROTOCOL_NAMES = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const satisfies Record<string, Protocol>
/** TCP when absent. */
export const protocol = v.pipe(
  oneOf(['TCP', 'UDP', 'SCTP'], 'TCP'),
  v.transform((name) => PROTOCOL_NAMES[name]),
)

/** One of the values; absent or empty is the default. */
export function oneOf<const Values extends readonly string[]>(values: Values, otherwise: Values[number]) {
  const wanted = `${values.slice(0, -1).join(', ')} or ${values.at(-1) ?? ''}`
  const message = refuse('a value that the API has', `use ${wanted}`)
  return v.pipe(
    v.nullish(v.picklist(['', ...values], message), ''),
    v.transform((value): Values[number] => (value === '' ? otherwise : value)),
  )
}

/** A map with these fields, and whatever else. */
export function fields<const Entries extends v.ObjectEntries>(entries: Entries) {
  const message = refuse('a map', 'write `key: value` lines')
  return v.pipe(
    v.custom<v.InferInput<v.ObjectSchema<Entries, undefined>>>(isMapping, message),
    v.object(entries, message),
  )
}

/** A list; absent means empty. */
export function list<Item extends v.GenericSchema>(item: Item) {
  return v.nullish(v.array(item, refuse('a list', 'write `- ` items, or leave it out')), [])
}

/** Absent stays absent, and null is absent. */
export function optional<Schema extends v.GenericSchema>(schema: Schema) {
  return v.nullish(schema, () => undefined)
}

/** As with kubectl, an object without a namespace is in `default`. */
export const namespace = v.nullish(dnsLabel, 'default')

/** A whole number. 0, where it is allowed, stands for none. */
export function numberBetween(lowest: 0 | 1, highest: number, noun: string) {
  const message = ({ input }: { readonly input: unknown }) =>
    typeof input === 'number'
      ? `${input} is out of range: use a ${noun} from 1 to ${highest}`
      : refuse('a number', 'write the number without quotes')({ input })
  return v.pipe(v.number(message), v.integer(message), v.minValue(lowest, message), v.maxValue(highest, message))
}

/** The value of a stranger in one short line without control characters. */
export function quote(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  const cut = typeof value === 'string' && value.length > LONGEST_QUOTE ? `${value.slice(0, LONGEST_QUOTE)}...` : value
  return (JSON.stringify(cut) ?? String(cut)).replaceAll(/[\u007f-\u009f\u2028\u2029]/g, '?')
}

/** `Service ns1/svc1`, with what is known of it, and never more than a line. */
export function objectTitle(kind: string, value: unknown, isNamespaced = true): string {
  const metadata = isMapping(value) ? value['metadata'] : undefined
  const { namespace: space, name } = isMapping(metadata) ? metadata : {}
  const shownName =
    typeof name === 'string' && isDnsSubdomain(name) ? name : name === undefined ? '(no name)' : quote(name)
  if (!isNamespaced) return `${kind} ${shownName}`
  const shownSpace =
    typeof space === 'string' && isDnsLabel(space)
      ? space
      : quote(space ?? 'default').replaceAll('"default"', 'default')
  return `${kind} ${shownSpace}/${shownName}`
}

/** What a schema found wrong, as issues; at most ten for one object. */
export function schemaIssues(issues: readonly v.BaseIssue<unknown>[], at: Place): readonly Issue[] {
  return issues.slice(0, MOST_ISSUES).map(({ path, message }) => {
    const field = fieldOf(path ?? [])
    return { severity: 'error', at: { ...at, ...(field !== '' && { field }) }, message }
  })
}

/** `spec.ports[0].port`, `metadata.labels[kubernetes.io/service-name]` */
function fieldOf(path: readonly { readonly key: unknown }[]): string {
  return path
    .map(({ key }) => (typeof key === 'number' || String(key).includes('.') ? `[${String(key)}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
}

/** The other way round, for looking up lines. */
export function pathOf(field: string): readonly (string | number)[] {
  return [...field.matchAll(/\[(\d+)\]|\[([^\]]*)\]|([^.[\]]+)/g)].map(([, index, label, key]) =>
    index === undefined ? (label ?? key ?? '') : Number(index),
  )
}

/** A message for what is not `wanted`; of a few mistakes that are made often it says more. */
export function refuse(wanted: string, advice: string): (issue: { readonly input: unknown }) => string {
  return ({ input }) => {
    if (input === undefined) return 'is missing: add it'
    if (input === null) return `is empty: give ${wanted}`
    if (wanted === 'a number' && typeof input === 'string' && /^[-+]?0\d+$/.test(input)) {
      return `${quote(input)} has a leading zero, which makes it octal for kubectl: write the number without it`
    }
    if (wanted === 'true or false' && typeof input === 'string' && /^(?:y|yes|n|no|on|off)$/i.test(input)) {
      return `${quote(input)} is text in YAML 1.2 and true or false for kubectl: write true or false`
    }
    return `${quote(input)} is not ${wanted}: ${advice}`
  }
}
