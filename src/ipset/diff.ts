// What has to change so that a set of the kernel becomes the desired one, as lines of `ipset restore`:
// 1. Entries come in `grow`, which is done first of all, and go in `shrink`, done last: rules and virtual servers change
//    between the two, and find the entries that they need.
// 2. A set that is too small, or was made with other options, is filled anew under another name, and swapped: rules that
//    name it never see it empty. The kernel swaps only sets of one type and family.
// 3. A set of another type or family is made anew, which the kernel allows only while no rule names it.
import { maxelemFor, type SetHeader, type SetName } from './ip-set.ts'
import { addEntryLine, createSetLine, deleteEntryLine, destroySetLine, swapSetsLine } from './print.ts'

export interface SetLine {
  readonly text: string
  /** What the line adds or takes away; absent when it changes sets as a whole. */
  readonly entry?: { readonly set: SetName; readonly text: string }
}

export interface DesiredSet {
  readonly header: SetHeader
  readonly entries: Pick<ReadonlyMap<string, unknown>, 'has' | 'keys' | 'size'>
}

export interface PresentSet {
  /** Absent for a set that sluice would never make. */
  readonly header?: SetHeader
  /** Type and options as `ipset save` prints them, when there is no header. */
  readonly definition?: string
  /** Empty when there is no header: such entries may have options too. */
  readonly entries: ReadonlySet<string>
}

export interface SetDiff {
  readonly grow: readonly SetLine[]
  readonly shrink: readonly SetLine[]
  /** What the kernel's set is after `grow`. */
  readonly header: SetHeader
  /** Nothing may refer to the set while `grow` is done. */
  readonly replaced: boolean
}

export interface SetDiffOptions {
  /** The entries to compare; all when absent. */
  readonly touched?: Iterable<string>
  /** Entries that are left as they are. */
  readonly skip?: (entry: string) => boolean
  /** The name under which a set is made anew; nothing has that name. */
  readonly temporary: SetName
}

export function diffSet(desired: DesiredSet, present: PresentSet | undefined, options: SetDiffOptions): SetDiff {
  const { name } = desired.header
  const { touched, skip = () => false, temporary } = options
  const added: string[] = []
  const removed: string[] = []
  const compare = (entry: string) => {
    if (skip(entry)) return
    const wanted = desired.entries.has(entry)
    if (wanted && present?.entries.has(entry) !== true) added.push(entry)
    else if (!wanted && present?.entries.has(entry) === true) removed.push(entry)
  }
  for (const entry of touched ?? desired.entries.keys()) compare(entry)
  if (touched === undefined) for (const entry of present?.entries ?? []) if (!desired.entries.has(entry)) compare(entry)

  const add = (set: SetName, entry: string): SetLine => ({
    text: addEntryLine(set, entry),
    entry: { set: name, text: entry },
  })
  const shrink = removed.map((text): SetLine => ({ text: deleteEntryLine(name, text), entry: { set: name, text } }))
  const held = present?.entries.size ?? 0
  const header = sized(desired.header, held + added.length)
  const create = { text: createSetLine(header) }
  if (present === undefined) {
    return { grow: [create, ...added.map((entry) => add(name, entry))], shrink, header, replaced: false }
  }
  if (present.header !== undefined && fits(present.header, header)) {
    return { grow: added.map((entry) => add(name, entry)), shrink, header: present.header, replaced: false }
  }
  if (!isSameKind(present, header)) {
    const all = [...desired.entries.keys()].filter((entry) => !skip(entry))
    const grow = [{ text: destroySetLine(name) }, create, ...all.map((entry) => add(name, entry))]
    return { grow, shrink: [], header, replaced: true }
  }
  const kept = [...present.entries]
  const grow = [
    { text: createSetLine({ ...header, name: temporary }) },
    ...[...kept, ...added].map((entry) => add(temporary, entry)),
    { text: swapSetsLine(temporary, name) },
    { text: destroySetLine(temporary) },
  ]
  return { grow, shrink, header, replaced: false }
}

/** A header that holds so many entries. */
function sized(header: SetHeader, entries: number): SetHeader {
  if (header.maxelem === undefined) return header
  const needed = maxelemFor(entries)
  return needed > header.maxelem ? { ...header, maxelem: needed } : header
}

/** Whether the kernel swaps them. */
function isSameKind(present: PresentSet, wanted: SetHeader): boolean {
  if (present.header !== undefined) {
    return present.header.type === wanted.type && present.header.family === wanted.family
  }
  const [type, inet] = [wanted.type, wanted.family === 'ipv6' ? 'inet6' : 'inet']
  return `${present.definition} `.startsWith(wanted.family === undefined ? `${type} ` : `${type} family ${inet} `)
}

/** A set that is larger than needed stays as it is. */
function fits(present: SetHeader, wanted: SetHeader): boolean {
  const sameKind = present.type === wanted.type && present.family === wanted.family
  return sameKind && (present.maxelem ?? 0) >= (wanted.maxelem ?? 0)
}
