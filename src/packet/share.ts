// Exact shares, so that no rounding is ever needed to add or multiply them. The kernel decides a random rule by 31 random
// bits, which makes a whole number over a power of two; IPVS takes turns, which makes any fraction.

/** numerator / (2^bits * divisor), in lowest terms: 0 to 1. */
export interface Share {
  readonly numerator: bigint
  readonly bits: number
  /** Odd; absent when it is 1. */
  readonly divisor?: bigint
}

export const WHOLE: Share = { numerator: 1n, bits: 0 }
export const NOTHING: Share = { numerator: 0n, bits: 0 }

/** part / whole, both whole numbers above 0. */
export function shareOf(part: number, whole: number): Share {
  return reduce(BigInt(part), 0, BigInt(whole))
}

/** The share of packets that a `statistic` match with this threshold lets through: threshold / 2^31 (xt_statistic.c). */
export function shareOfThreshold(threshold: number): Share {
  return reduce(BigInt(threshold), 31)
}

export function multiplyShares(a: Share, b: Share): Share {
  return reduce(a.numerator * b.numerator, a.bits + b.bits, divisorOf(a) * divisorOf(b))
}

export function addShares(a: Share, b: Share): Share {
  const bits = Math.max(a.bits, b.bits)
  const first = (a.numerator << BigInt(bits - a.bits)) * divisorOf(b)
  const second = (b.numerator << BigInt(bits - b.bits)) * divisorOf(a)
  return reduce(first + second, bits, divisorOf(a) * divisorOf(b))
}

/** What is left of everything. */
export function restOfShare(share: Share): Share {
  return reduce(denominatorOf(share) - share.numerator, share.bits, divisorOf(share))
}

export function isWhole(share: Share): boolean {
  return share.numerator === 1n && share.bits === 0 && share.divisor === undefined
}

/** 0 to 1, as near as a number comes. */
export function shareAsNumber(share: Share): number {
  // 60 bits are more than a number holds, and powers of two beyond 1,023 are none.
  const excess = BigInt(Math.max(denominatorOf(share).toString(2).length - 60, 0))
  return Number(share.numerator >> excess) / Number(denominatorOf(share) >> excess)
}

/** `50%`, `33.3%`: one decimal, left out when it is 0; never `0%` or `100%` for what is not. */
export function formatShare(share: Share): string {
  const percent = shareAsNumber(share) * 100
  const text = percent.toFixed(1).replace(/\.0$/, '')
  if (text === '100' && !isWhole(share)) return '>99.9%'
  return text === '0' && share.numerator > 0n ? '<0.1%' : `${text}%`
}

/** `715827883/2147483648` */
export function fractionOf(share: Share): string {
  const denominator = denominatorOf(share)
  return denominator === 1n ? `${share.numerator}` : `${share.numerator}/${denominator}`
}

function divisorOf({ divisor = 1n }: Share): bigint {
  return divisor
}

function denominatorOf(share: Share): bigint {
  return divisorOf(share) << BigInt(share.bits)
}

/** The divisor may be even. */
function reduce(numerator: bigint, bits: number, divisor = 1n): Share {
  if (numerator === 0n) return NOTHING
  let left = numerator
  let count = bits
  let odd = divisor
  for (; (odd & 1n) === 0n; odd >>= 1n) count += 1
  if (odd !== 1n) {
    const common = commonDivisor(left, odd)
    left /= common
    odd /= common
  }
  while (count > 0 && (left & 1n) === 0n) {
    left >>= 1n
    count -= 1
  }
  return odd === 1n ? { numerator: left, bits: count } : { numerator: left, bits: count, divisor: odd }
}

function commonDivisor(a: bigint, b: bigint): bigint {
  let [large, small] = [a, b]
  while (small !== 0n) [large, small] = [small, large % small]
  return large
}
