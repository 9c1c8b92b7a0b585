// A trace as text for people: one line per rule that matters, branches as a tree, the verdict at the end.
import { describeReply, describeVerdict } from './describe-trace.ts'
import type { NodeNetwork } from './network.ts'
import { formatPacket } from './packet.ts'
import { formatShare, type Share } from './share.ts'
import type { Choice, Step, Trace, Way } from './trace.ts'

export interface PrintOptions {
  /** The rules themselves below their lines. */
  readonly rules?: boolean
}

/** Ends with a newline. Comments of rules are foreign text: it is the caller's to make it fit for a terminal. */
export function printTrace(trace: Trace, network: NodeNetwork, options: PrintOptions = {}): string {
  const lines: Line[] = []
  addWay(lines, trace.way, '', '', options)
  const widths = { place: 0, action: 0 }
  for (const line of lines) {
    if (line.kind !== 'step') continue
    widths.place = Math.max(widths.place, line.before.length + line.place.length)
    if (line.about !== '') widths.action = Math.max(widths.action, line.action.length)
  }
  const from =
    trace.origin.inInterface === undefined ? trace.origin.kind : `${trace.origin.kind} (${trace.origin.inInterface})`
  return [
    `${formatPacket(trace.packet)}   from ${from}`,
    ...lines.map((line) => formatLine(line, widths)),
    ...describeVerdict(trace).map((verdict) => `=> ${verdict}`),
    ...describeReply(trace, network).map((reply) => `   ${reply}`),
    ...trace.notes.map((note) => `   note: ${note}`),
    '',
  ].join('\n')
}

type Line =
  | {
      readonly kind: 'step'
      readonly before: string
      readonly place: string
      readonly action: string
      readonly about: string
    }
  | { readonly kind: 'text'; readonly text: string }

const TABLE_WIDTH = 6

/** `before` stands before every line, `first` before the first one. */
function addWay(lines: Line[], way: Way, before: string, head: string, options: PrintOptions): void {
  let first = head
  for (const step of way.steps) {
    lines.push(stepLine(step, first + before))
    first = ''
    if (options.rules === true && step.rule !== undefined)
      lines.push({ kind: 'text', text: `${before}       ${step.rule}` })
  }
  if (way.next.kind === 'end') {
    if (way.steps.length === 0) lines.push({ kind: 'text', text: `${before}(no rule)` })
    return
  }
  addChoice(lines, way.next, before, options)
}

function addChoice(lines: Line[], choice: Choice, before: string, options: PrintOptions): void {
  const { table, chain } = choice.place
  const { branches } = choice
  const [only] = branches
  if (only !== undefined && branches.length === 1) {
    addWay(lines, only.way, before, '', options)
    return
  }
  const action =
    choice.kind === 'random' ? `one of ${branches.length} ways at random` : 'not known, so both ways are shown'
  lines.push({
    kind: 'step',
    before,
    place: `${table.padEnd(TABLE_WIDTH)} ${chain}`,
    action,
    about: choice.question ?? '',
  })
  for (const [index, branch] of branches.entries()) {
    const last = index === branches.length - 1
    const label = choice.kind === 'random' ? shareLabel(branch.share) : `${branch.label ?? ''} ${choice.question ?? ''}`
    lines.push({ kind: 'text', text: `${before}${last ? '└─' : '├─'} ${label}` })
    addWay(lines, branch.way, `${before}${last ? '   ' : '│  '}`, '', options)
  }
}

function shareLabel(share: Share): string {
  return formatShare(share)
}

function stepLine({ table, chain, action, service, note }: Step, before: string): Line {
  const about = [service, note].filter((text) => text !== undefined && text !== '')
  const shown = note !== undefined && service !== undefined && note.includes(service) ? note : about.join(' ')
  return { kind: 'step', before, place: `${table.padEnd(TABLE_WIDTH)} ${chain}`, action, about: shown }
}

function formatLine(line: Line, widths: { readonly place: number; readonly action: number }): string {
  if (line.kind === 'text') return line.text
  const place = (line.before + line.place).padEnd(widths.place)
  return `${place}  ${line.about === '' ? line.action : `${line.action.padEnd(widths.action)}  ${line.about}`}`
}
