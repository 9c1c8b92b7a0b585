// Reads the values of kube-proxy's flags as its flag library does (Go's strconv and time), with the same reasons for bad
// ones, because operators know them and look for them.
import { parseIp } from '../../model/address.ts'
import { parseGoDuration } from './go-duration.ts'
import { splitHostPort } from './host-port.ts'
import type { ProxyFlagType } from './proxy-flag-table.ts'

/** What the command line holds for one flag: true for a flag without a value, a list for one given several times. */
export type GivenFlag = string | boolean | readonly string[]

export type FlagValue =
  /** Undefined leaves the default in place: an empty address does that. */
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'invalid'; readonly text: string; readonly reason: string }

type Parsed = { readonly value: unknown } | { readonly reason: string }

const INTEGER = /^([-+]?)(0[xX][\da-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9]\d*)$/
const FLOAT = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/
const QUANTITY = /^[-+]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?\d+)?$/
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])

/** Reads what was given for a flag; of a flag given several times the last counts, except where the type collects. */
export function parseFlagValue(type: ProxyFlagType, given: GivenFlag): FlagValue {
  const texts = typeof given === 'object' ? given : [String(given)]
  const values: unknown[] = []
  for (const text of texts) {
    const parsed = PARSERS[type](text)
    if ('reason' in parsed) return { kind: 'invalid', text, reason: parsed.reason }
    values.push(parsed.value)
  }
  if (type === 'list') return { kind: 'value', value: values.flat() }
  if (type === 'gates') return { kind: 'value', value: Object.assign({}, ...values) }
  return { kind: 'value', value: values.at(-1) }
}

const PARSERS: Readonly<Record<ProxyFlagType, (text: string) => Parsed>> = {
  string: (text) => ({ value: text }),
  bool: parseBool,
  int32: (text) => parseInteger(text, -(2 ** 31), 2 ** 31 - 1),
  uint32: (text) => parseInteger(text, 0, 2 ** 32 - 1),
  float32: (text) => (FLOAT.test(text) ? { value: Number(text) } : badSyntax('ParseFloat', text)),
  duration: parseDuration,
  ip: parseAddress,
  'ip-port': parseAddressAndPort,
  list: (text) => ({ value: text === '' ? [] : text.split(',') }),
  gates: parseGates,
  vmodule: parseVmodule,
  quantity: (text) =>
    QUANTITY.test(text) ? { value: text } : { reason: 'quantities must be a number and a suffix, such as 64Ki' },
}

function parseBool(text: string): Parsed {
  if (TRUE.has(text)) return { value: true }
  return FALSE.has(text) ? { value: false } : badSyntax('ParseBool', text)
}

function parseInteger(text: string, least: number, most: number): Parsed {
  const [, sign = '', digits = ''] = INTEGER.exec(text) ?? []
  if (digits === '') return badSyntax('ParseInt', text)
  const magnitude = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  const value = sign === '-' ? 0 - magnitude : magnitude
  if (value >= least && value <= most) return { value }
  return { reason: `strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range` }
}

function parseDuration(text: string): Parsed {
  const parsed = parseGoDuration(text)
  return parsed.kind === 'duration' ? { value: parsed.nanoseconds } : { reason: parsed.reason }
}

function parseAddress(text: string): Parsed {
  if (text === '') return { value: undefined }
  return parseIp(text) === undefined ? badAddress(text) : { value: text }
}

function parseAddressAndPort(text: string): Parsed {
  if (text === '') return { value: undefined }
  if (parseIp(text) !== undefined) return { value: text }
  const split = splitHostPort(text)
  if (split === undefined) return { reason: `${JSON.stringify(text)} is not in a valid format (ip or ip:port)` }
  if (parseIp(split.host) === undefined) return badAddress(split.host)
  const fits = /^\d+$/.test(split.port) && Number(split.port) <= 65535
  return fits ? { value: text } : { reason: `${JSON.stringify(split.port)} is not a valid number` }
}

function parseGates(text: string): Parsed {
  const gates: [name: string, on: unknown][] = []
  for (const pair of text.split(',').filter((part) => part !== '')) {
    const equals = pair.indexOf('=')
    if (equals < 0) return { reason: 'malformed pair, expect string=bool' }
    const name = pair.slice(0, equals).trim()
    const setting = pair.slice(equals + 1).trim()
    const parsed = parseBool(setting)
    if ('reason' in parsed) return { reason: `invalid value of ${name}: ${setting}, err: ${parsed.reason}` }
    gates.push([name, parsed.value])
  }
  return { value: Object.fromEntries(gates) }
}

function parseVmodule(text: string): Parsed {
  const items = text.split(',').filter((part) => part !== '')
  const parsed = items.map((item) => /^([^=]+)=(\d{1,9})$/.exec(item))
  if (parsed.includes(null)) return { reason: 'syntax error: expect comma-separated list of filename=N' }
  return { value: parsed.map((match) => ({ filePattern: match?.[1] ?? '', verbosity: Number(match?.[2]) })) }
}

function badSyntax(parser: string, text: string): Parsed {
  return { reason: `strconv.${parser}: parsing ${JSON.stringify(text)}: invalid syntax` }
}

function badAddress(text: string): Parsed {
  return { reason: `${JSON.stringify(text)} is not a valid IP address` }
}
