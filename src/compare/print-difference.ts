// Differences as text for people: by Service, then by chain, as unified hunks that look like those of `diff -u`.
import { structuredPatch } from 'diff'
import type { Family } from '../model/address.ts'
import type { ChainDifference } from './compare.ts'
import type { ObjectDifference } from './compare-ipvs.ts'
import type { NodeDifference } from './merge.ts'
import { nameGroup } from './name-group.ts'
import type { SemanticDifference } from './semantic.ts'

export type LineKind = 'heading' | 'file' | 'hunk' | 'added' | 'removed' | 'same'
/** One line, with what it is, for its colour. */
export interface ShownLine {
  readonly kind: LineKind
  readonly text: string
}

export interface Labels {
  readonly before: string
  readonly after: string
}

const CONTEXT_LINES = 3

export function showGroup(
  { group, chains, objects = [] }: NodeDifference,
  family: Family,
  labels: Labels,
): readonly ShownLine[] {
  return [
    { kind: 'heading', text: `# ${nameGroup(group)}, ${family}` },
    ...chains.flatMap((chain) => showPart(chain, `${chain.table} ${chain.chain}`, labels, `-A ${chain.chain} `)),
    ...objects.flatMap((object) => showPart(object, `${TOOLS[object.kind]} ${object.object}`, labels, '')),
  ]
}

export function showStatements({ group, statements }: SemanticDifference, family: Family): readonly ShownLine[] {
  return [
    { kind: 'heading', text: `# ${nameGroup(group)}, ${family}` },
    ...statements.map((text) => ({ kind: 'same', text }) as const),
  ]
}

const TOOLS: Readonly<Record<ObjectDifference['kind'], string>> = {
  'virtual-server': 'ipvsadm',
  set: 'ipset',
  addresses: 'address',
}

type Part = Pick<ChainDifference, 'change' | 'before' | 'after'>

function showPart(part: Part, place: string, labels: Labels, prefix: string): readonly ShownLine[] {
  const file = (label: string, absent: boolean) => (absent ? '/dev/null' : `${label} ${place}`)
  const heads: readonly ShownLine[] = [
    { kind: 'file', text: `--- ${file(labels.before, part.change === 'added')}` },
    { kind: 'file', text: `+++ ${file(labels.after, part.change === 'removed')}` },
  ]
  const text = (rules: readonly string[]) => rules.map((rule) => `${rule}\n`).join('')
  const { hunks } = structuredPatch('', '', text(part.before), text(part.after), '', '', { context: CONTEXT_LINES })
  return [
    ...heads,
    ...hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }): readonly ShownLine[] => [
      { kind: 'hunk', text: `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@` },
      ...lines.map((line): ShownLine => showLine(line, prefix)),
    ]),
  ]
}

function showLine(line: string, prefix: string): ShownLine {
  const sign = line.charAt(0)
  const kind = sign === '+' ? 'added' : sign === '-' ? 'removed' : 'same'
  return { kind, text: `${sign}${prefix}${line.slice(1)}` }
}
