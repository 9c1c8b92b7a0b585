// Durations as Go writes them: `30s`, `1h0m0s`, `1.5h`, `-2ms`. Kubernetes uses this form in files and flags.
// Values are nanoseconds in a bigint, as in Go (a 64-bit integer), so that reading and printing lose nothing.
// The grammar is that of https://pkg.go.dev/time#ParseDuration and https://pkg.go.dev/time#Duration.String.

export type GoDuration =
  | { readonly kind: 'duration'; readonly nanoseconds: bigint }
  | { readonly kind: 'invalid'; readonly reason: string }

const MICROSECOND = 1_000n
const MILLISECOND = 1_000_000n
const SECOND = 1_000_000_000n
const MINUTE = 60n * SECOND
const HOUR = 60n * MINUTE

// Both code points for micro are legal: U+00B5 (micro sign) and U+03BC (Greek mu).
const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', MICROSECOND],
  ['\u00b5s', MICROSECOND],
  ['\u03bcs', MICROSECOND],
  ['ms', MILLISECOND],
  ['s', SECOND],
  ['m', MINUTE],
  ['h', HOUR],
])
const LARGEST = 2n ** 63n - 1n
const PART = /(\d*)(\.(\d*))?([^\d.]*)/y

/** Reads a Go duration. The reason of a bad one is the text that Go gives. */
export function parseGoDuration(text: string): GoDuration {
  const negative = text.startsWith('-')
  const unsigned = /^[-+]/.test(text) ? text.slice(1) : text
  if (unsigned === '0') return { kind: 'duration', nanoseconds: 0n }
  const bad = (problem: string): GoDuration => ({ kind: 'invalid', reason: `time: ${problem} ${JSON.stringify(text)}` })
  if (unsigned === '') return bad('invalid duration')
  let total = 0n
  for (let at = 0; at < unsigned.length; ) {
    PART.lastIndex = at
    const [part = '', whole = '', , fraction = '', unitText = ''] = PART.exec(unsigned) ?? []
    if (whole === '' && fraction === '') return bad('invalid duration')
    if (unitText === '') return bad('missing unit in duration')
    const unit = UNITS.get(unitText)
    if (unit === undefined) return bad(`unknown unit ${JSON.stringify(unitText)} in duration`)
    total += BigInt(whole) * unit + fractionOf(fraction, unit)
    // The most negative value has no positive twin, so the limit depends on the sign.
    if (total > (negative ? LARGEST + 1n : LARGEST)) return bad('invalid duration')
    at += part.length
  }
  return { kind: 'duration', nanoseconds: negative ? -total : total }
}

/** Prints nanoseconds as Go does: `1h0m0s`, `1.5s`, `100ms`, `0s`. */
export function formatGoDuration(nanoseconds: bigint): string {
  if (nanoseconds < 0n) return `-${formatGoDuration(-nanoseconds)}`
  if (nanoseconds === 0n) return '0s'
  if (nanoseconds < MICROSECOND) return `${nanoseconds}ns`
  if (nanoseconds < MILLISECOND) return `${decimal(nanoseconds, MICROSECOND)}\u00b5s`
  if (nanoseconds < SECOND) return `${decimal(nanoseconds, MILLISECOND)}ms`
  const seconds = `${decimal(nanoseconds % MINUTE, SECOND)}s`
  if (nanoseconds < MINUTE) return seconds
  const minutes = `${(nanoseconds / MINUTE) % 60n}m${seconds}`
  return nanoseconds < HOUR ? minutes : `${nanoseconds / HOUR}h${minutes}`
}

export function nanosecondsToMilliseconds(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e6
}

// Go multiplies the fraction in floating point, so `0.3333333333333333333h` is 20 minutes to the nanosecond. It keeps
// the digits that fit in 63 bits and drops the rest.
function fractionOf(digits: string, unit: bigint): bigint {
  let value = 0n
  let scale = 1
  for (const digit of digits) {
    const next = value * 10n + BigInt(digit)
    if (value > LARGEST / 10n || next > LARGEST + 1n) break
    value = next
    scale *= 10
  }
  return BigInt(Math.trunc(Number(value) * (Number(unit) / scale)))
}

function decimal(nanoseconds: bigint, unit: bigint): string {
  const places = unit.toString().length - 1
  const fraction = (nanoseconds % unit).toString().padStart(places, '0').replace(/0+$/, '')
  return fraction === '' ? `${nanoseconds / unit}` : `${nanoseconds / unit}.${fraction}`
}
