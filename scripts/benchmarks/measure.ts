// How benchmarks measure and report: medians, since these machines are shared, and each size in a process of its own, so
// that its peak memory is its own.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** `share` from 0 to 1. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Milliseconds of each of `runs` calls; the last result is kept until then, as a program would. */
export function time(runs: number, work: () => unknown): readonly number[] {
  return Array.from({ length: runs }, () => {
    const start = performance.now()
    work()
    return performance.now() - start
  })
}

/** Mebibytes that this process ever had resident. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS / 1024
}

/** Runs the calling script again with these arguments, and returns the JSON that it prints. */
export function inOwnProcess(...args: readonly string[]): unknown {
  const script = process.argv[1]
  if (script === undefined) throw new Error('there is no script to run again')
  return JSON.parse(execFileSync(process.execPath, [script, ...args], { encoding: 'utf8', maxBuffer: 1e8 }))
}

/** Prints rows of equal keys as a table. */
export function printTable(title: string, rows: readonly Readonly<Record<string, string | number>>[]): void {
  const [first] = rows
  if (first === undefined) return
  const cells = [Object.keys(first), ...rows.map((row) => Object.values(row).map(format))]
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? []
  console.log(`\n${title}`)
  for (const row of cells) console.log(row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '))
}

/** Keeps the figures: bench-results/NAME.json. */
export function writeResults(name: string, results: unknown): void {
  mkdirSync('bench-results', { recursive: true })
  writeFileSync(`bench-results/${name}.json`, `${JSON.stringify({ node: process.version, results }, undefined, 2)}\n`)
}

function format(value: string | number): string {
  if (typeof value === 'string') return value
  return Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(value < 10 ? 2 : 0)
}
