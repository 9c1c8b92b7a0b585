// What differs, for people: as unified diffs, file by file, or as a summary in which a change that shows in forty files
// is one hunk.
import { FILE_HEADERS_ONLY, formatPatch, structuredPatch } from 'diff'
import type { Difference } from './check.ts'

/** Aligning files that differ everywhere takes minutes, and nobody reads the result. */
const MOST_DIFFERING_LINES = 1000

/** A unified diff: lines with `-` are those of the file, lines with `+` what the scenario comes to now. */
export function showDifference({ file, expected, rendered }: Difference): string {
  if (expected === undefined) return `${file} is missing\n`
  const patch = align(file, expected, rendered, 1)
  return patch === undefined ? `${file} ${TOO_DIFFERENT}\n` : formatPatch(patch, FILE_HEADERS_ONLY)
}

/**
 * Distinct hunks with counts, those of most files first: `1 hunk in 41 files: own/affinity/iptables/iptables-save, ...`
 * and its lines. Hunks are equal when their lines are, wherever in a file they stand.
 */
export function summariseDifferences(differences: readonly Difference[]): string {
  const filesOf = new Map<string, Set<string>>()
  for (const difference of differences) {
    for (const hunk of hunksOf(difference)) {
      filesOf.set(hunk, (filesOf.get(hunk) ?? new Set()).add(difference.file))
    }
  }
  const groups = Map.groupBy([...filesOf], ([, files]) => [...files].join('\n'))
  return [...groups.values()]
    .toSorted((a, b) => (b[0]?.[1].size ?? 0) - (a[0]?.[1].size ?? 0))
    .map((group) => `${heading(group.length, [...(group[0]?.[1] ?? [])])}\n${group.map(([hunk]) => hunk).join('\n')}`)
    .join('\n')
}

const TOO_DIFFERENT = `differs in more than ${MOST_DIFFERING_LINES} lines`
const SHOWN_FILES = 3

/** `3 hunks in own/source-ranges/iptables/iptables-save` */
function heading(hunks: number, files: readonly string[]): string {
  const count = hunks === 1 ? '1 hunk' : `${hunks} hunks`
  if (files.length === 1) return `${count} in ${files.join('')}:`
  const shown = files.slice(0, SHOWN_FILES).join(', ')
  return `${count} in ${files.length} files: ${shown}${files.length > SHOWN_FILES ? ', ...' : ''}`
}

/** The changed lines of each place, indented. */
function hunksOf({ file, expected, rendered }: Difference): readonly string[] {
  if (expected === undefined) return ['  (the file is missing)\n']
  const patch = align(file, expected, rendered, 0)
  if (patch === undefined) return [`  (${TOO_DIFFERENT})\n`]
  return patch.hunks.map(({ lines }) => lines.map((line) => `  ${line}\n`).join(''))
}

function align(file: string, expected: string, rendered: string, context: number) {
  const options = { context, maxEditLength: MOST_DIFFERING_LINES }
  return structuredPatch(file, file, expected, rendered, 'on disk', 'rendered', options)
}
