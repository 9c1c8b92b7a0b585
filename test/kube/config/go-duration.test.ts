import { assert, bigInt, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatGoDuration, nanosecondsToMilliseconds, parseGoDuration } from '../../../src/kube/config/go-duration.ts'

const SECOND = 1_000_000_000n

describe('reading', () => {
  test.each([
    ['0', 0n],
    ['+0', 0n],
    ['0s', 0n],
    ['30s', 30n * SECOND],
    ['1h0m0s', 3600n * SECOND],
    ['1.5h', 5400n * SECOND],
    ['100ms', 100_000_000n],
    ['-2m', -120n * SECOND],
    ['.5s', SECOND / 2n],
    ['1.s', SECOND],
    ['1h1h', 7200n * SECOND],
    ['7us', 7000n],
    ['7\u00b5s', 7000n],
    ['7\u03bcs', 7000n],
    ['3ns', 3n],
    ['0.3333333333333333333h', 1200n * SECOND],
    ['2562047h47m16.854775807s', 2n ** 63n - 1n],
    ['-2562047h47m16.854775808s', -(2n ** 63n)],
  ])('%s is read', (text, nanoseconds) => {
    expect(parseGoDuration(text)).toEqual({ kind: 'duration', nanoseconds })
  })

  test.each([
    ['', 'time: invalid duration ""'],
    ['5', 'time: missing unit in duration "5"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['1 s', 'time: unknown unit " s" in duration "1 s"'],
    ['-', 'time: invalid duration "-"'],
    ['s', 'time: invalid duration "s"'],
    ['.s', 'time: invalid duration ".s"'],
    ['1h-2m', 'time: unknown unit "h-" in duration "1h-2m"'],
    ['forever', 'time: invalid duration "forever"'],
    ['2562047h47m16.854775808s', 'time: invalid duration "2562047h47m16.854775808s"'],
    ['9999999999999999999999h', 'time: invalid duration "9999999999999999999999h"'],
  ])('%j is refused with the reason that Go gives', (text, reason) => {
    expect(parseGoDuration(text)).toEqual({ kind: 'invalid', reason })
  })
})

describe('printing', () => {
  test.each([
    [0n, '0s'],
    [1n, '1ns'],
    [1100n, '1.1\u00b5s'],
    [2_200_000n, '2.2ms'],
    [3_300_000_000n, '3.3s'],
    [60n * SECOND, '1m0s'],
    [245n * SECOND + 1n, '4m5.000000001s'],
    [900n * SECOND, '15m0s'],
    [86400n * SECOND, '24h0m0s'],
    [-90n * SECOND, '-1m30s'],
  ])('%d ns is %s', (nanoseconds, text) => {
    expect(formatGoDuration(nanoseconds)).toBe(text)
  })

  test('what is printed reads back as the same duration', () => {
    assert(
      property(bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (nanoseconds) => {
        expect(parseGoDuration(formatGoDuration(nanoseconds))).toEqual({ kind: 'duration', nanoseconds })
      }),
    )
  })
})

test('milliseconds keep fractions', () => {
  expect(nanosecondsToMilliseconds(1_500_000n)).toBe(1.5)
})
