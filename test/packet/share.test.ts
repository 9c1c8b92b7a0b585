import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  addShares,
  formatShare,
  fractionOf,
  isWhole,
  multiplyShares,
  NOTHING,
  restOfShare,
  type Share,
  shareAsNumber,
  shareOf,
  shareOfThreshold,
  WHOLE,
} from '../../src/packet/share.ts'

const threshold = fc.integer({ min: 1, max: 2 ** 31 - 1 })

test('a share and its rest are everything, exactly, however deep', () => {
  fc.assert(
    fc.property(fc.array(threshold, { minLength: 1, maxLength: 40 }), (thresholds) => {
      let rest: Share = WHOLE
      let sum: Share = NOTHING
      for (const value of thresholds) {
        const share = shareOfThreshold(value)
        sum = addShares(sum, multiplyShares(rest, share))
        rest = multiplyShares(rest, restOfShare(share))
      }
      expect(isWhole(addShares(sum, rest))).toBe(true)
    }),
  )
})

test('the kernel keeps a third as 715827883 of 2^31', () => {
  const third = shareOfThreshold(715_827_883)
  expect(fractionOf(third)).toBe('715827883/2147483648')
  expect(formatShare(third)).toBe('33.3%')
  expect(fractionOf(restOfShare(third))).toBe('1431655765/2147483648')
})

test.each<[Share, string]>([
  [WHOLE, '100%'],
  [NOTHING, '0%'],
  [shareOfThreshold(2 ** 30), '50%'],
  [shareOfThreshold(1), '<0.1%'],
  [restOfShare(shareOfThreshold(1)), '>99.9%'],
])('share %# is printed as %s', (share, text) => {
  expect(formatShare(share)).toBe(text)
})

test('as a number it is as near as numbers come', () => {
  let share: Share = WHOLE
  for (let depth = 0; depth < 100; depth += 1) share = multiplyShares(share, shareOfThreshold(2 ** 31 - 1))
  expect(shareAsNumber(share)).toBeCloseTo((1 - 2 ** -31) ** 100, 12)
})

test('turns are exact too: any fractions of a whole come to everything, also of a random part', () => {
  expect(fractionOf(shareOf(2, 6))).toBe('1/3')
  expect(fractionOf(shareOf(6, 12))).toBe('1/2')
  expect(shareAsNumber(shareOf(1, 3))).toBeCloseTo(1 / 3, 12)
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 20 }),
      threshold,
      (weights, value) => {
        const part = shareOfThreshold(value)
        const whole = weights.reduce((sum, weight) => sum + weight, 0)
        const sum = weights.map((weight) => multiplyShares(part, shareOf(weight, whole))).reduce(addShares, NOTHING)
        expect(sum).toEqual(part)
        expect(isWhole(addShares(sum, restOfShare(part)))).toBe(true)
      },
    ),
  )
})
