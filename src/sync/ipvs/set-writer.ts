// Writes changes of sets, in one batch when the kernel takes it. An entry that it refuses, which the tool names by its line,
// is left out, and the batch is written again: its lines may be repeated.
import type { SetLine } from '../../ipset/diff.ts'
import type { SetName } from '../../ipset/ip-set.ts'
import { ipvsChunkOf } from '../../ipvs/changed-chunks.ts'
import type { IpvsProgram } from '../../ipvs/program.ts'
import type { SetsChange } from './change.ts'
import type { KernelPicture } from './picture.ts'
import type { Refusals, Subject } from './refusals.ts'
import type { IpvsTools } from './tools.ts'

export interface SetWriter {
  /** The number of lines written; brings the picture up to date. */
  readonly grow: (change: SetsChange, picture: KernelPicture, program: IpvsProgram) => Promise<number>
  readonly shrink: (change: SetsChange, picture: KernelPicture, program: IpvsProgram) => Promise<number>
}

export interface SetWriterOptions {
  readonly tools: Pick<IpvsTools, 'restoreSets'>
  readonly refusals: Refusals
  readonly onRefused: (subject: Subject, owner: string, error: Error) => void
  readonly onReinstated: (owner: string) => void
}

export function createSetWriter(options: SetWriterOptions): SetWriter {
  const { tools, refusals, onRefused, onReinstated } = options

  /** The lines that the kernel took. */
  const write = async (all: readonly SetLine[], program: IpvsProgram): Promise<readonly SetLine[]> => {
    let lines = all
    for (let failures = 1; ; failures += 1) {
      const refusal = await tools.restoreSets(lines.map(({ text }) => text))
      if (refusal === undefined) return lines
      const bad = refusal.index === undefined ? undefined : lines[refusal.index]
      if (bad?.entry === undefined || failures > MOST_FAILURES) throw refusal.error
      const { set, text } = bad.entry
      const owner = ownerOfEntry(program, set, text) ?? set
      const subject: Subject = { kind: 'entry', set, text }
      refusals.add(subject, owner, ADDED)
      onRefused(subject, owner, refusal.error)
      lines = lines.filter((line) => line !== bad)
    }
  }

  const reinstate = ({ entry }: SetLine) => {
    const owner = entry && refusals.remove({ kind: 'entry', set: entry.set, text: entry.text })
    if (owner !== undefined) onReinstated(owner)
  }

  const forgetEntries = (lines: readonly SetLine[], picture: KernelPicture) => {
    for (const line of lines) {
      if (line.entry !== undefined) picture.sets.get(line.entry.set)?.entries.delete(line.entry.text)
      reinstate(line)
    }
  }

  return {
    grow: async ({ diffs, grow, swept, replaced }, picture, program) => {
      if (grow.length === 0) return 0
      const taken = new Set(await write([...grow, ...swept], program))
      for (const [name, { header }] of diffs) {
        const before = replaced.includes(name) ? undefined : picture.sets.get(name)?.entries
        picture.sets.set(name, { header, entries: before ?? new Set() })
      }
      for (const line of grow) {
        if (line.entry === undefined || !taken.has(line)) continue
        picture.sets.get(line.entry.set)?.entries.add(line.entry.text)
        reinstate(line)
      }
      forgetEntries(
        swept.filter((line) => taken.has(line)),
        picture,
      )
      return taken.size
    },
    shrink: async ({ shrink }, picture, program) => {
      if (shrink.length === 0) return 0
      const lines = await write(shrink, program)
      forgetEntries(lines, picture)
      return lines.length
    },
  }
}

/** Of batches in one sync; the next one goes on where it ended. */
const MOST_FAILURES = 100
/** What is desired of an entry that was refused. */
export const ADDED = 'added'

/** Compiles one ServicePort after the other until it is found: only failures ask. */
function ownerOfEntry(program: IpvsProgram, set: SetName, text: string): string | undefined {
  for (const servicePort of program.servicePorts) {
    const { owner, entries } = ipvsChunkOf(program, servicePort)
    if (entries.some((entry) => entry.set === set && entry.text === text)) return owner
  }
  return undefined
}
