// docs/traffic.md names every assertion, and every row that holds one.
import path from 'node:path'
import { expect, test } from 'vitest'
import { CASES, holdingsOf } from './traffic/catalogue.ts'
import { trafficTable } from './traffic/catalogue-table.ts'
import { LIVE_ROWS } from './traffic/live-rows.ts'
import { ROWS } from './traffic/rows.ts'

test('the 51 assertions of service.go are there, each once', () => {
  const lines = CASES.map(({ source }) => source).filter((source) => typeof source === 'number')
  expect(new Set(lines).size).toBe(lines.length)
  expect(lines).toHaveLength(51)
})

test('each assertion is held by rows, or says why not', () => {
  const open = CASES.filter((each) => holdingsOf(each).length === 0 && each.instead === undefined)
  expect(open).toEqual([])
})

test('each row that is named exists and holds', () => {
  const missing = CASES.filter(({ rows }) => rows !== undefined).flatMap((each) => {
    const held = new Set(holdingsOf(each).map(({ row }) => row.name))
    return (each.rows ?? []).filter((name) => !held.has(name))
  })
  expect(missing).toEqual([])
})

test('each row holds something that is named', () => {
  const holding = new Set(CASES.flatMap(holdingsOf).map(({ row }) => row))
  const useless = [...ROWS, ...LIVE_ROWS].filter((row) => row.hold !== undefined && !holding.has(row))
  expect(useless.map(({ source, name }) => `${source} ${name}`)).toEqual([])
})

test('docs/traffic.md is up to date (write it with -u)', async () => {
  await expect(trafficTable()).toMatchFileSnapshot(path.join(import.meta.dirname, '../docs/traffic.md'))
})
