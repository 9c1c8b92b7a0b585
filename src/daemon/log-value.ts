// What may stand in a log: no secrets, and nothing that steers a terminal.

const MASK = '[hidden]'
const SECRET_NAME = /token|password|passwd|secret|authorization|cookie|credential|private|keydata|key-data|keypem/i
// Names of places and counts that only sound like a secret: tokenFile, tokenPath, tokenAge.
const HARMLESS_NAME = /(?:file|path|age|expiry|seconds|count)$/i
const SECRET_TEXT = [
  /\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi,
  // A JSON Web Token, wherever it stands.
  /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
] as const

const LONGEST_TEXT = 8_000
const DEEPEST = 4

/** The value as it may be logged under that name. */
export function maskValue(name: string, value: unknown, depth = 0): unknown {
  if (SECRET_NAME.test(name) && !HARMLESS_NAME.test(name) && typeof value !== 'boolean') return MASK
  if (typeof value === 'string') return maskText(value)
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) return maskText(describeError(value))
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEEPEST) return '...'
  if (Array.isArray(value)) return value.map((item) => maskValue('', item, depth + 1))
  if (value instanceof Map || value instanceof Set) return maskValue(name, [...value], depth)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, maskValue(key, inner, depth + 1)]))
}

export function maskText(text: string): string {
  const masked = SECRET_TEXT.reduce((rest, pattern) => rest.replace(pattern, MASK), text)
  return masked.length > LONGEST_TEXT ? `${masked.slice(0, LONGEST_TEXT)}... (${masked.length} characters)` : masked
}

/** An error's message with those of its causes, without stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.message === '' ? error.name : error.message
  return error.cause === undefined ? own : `${own}: ${describeError(error.cause)}`
}

/**
 * Objects of the cluster are written by strangers: a terminal must not obey them, nor hide or reorder what stands around
 * them. JSON stays JSON of the same value.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, index) => escapeUnit(character.charCodeAt(index))).join(''),
  )
}

function escapeUnit(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}
