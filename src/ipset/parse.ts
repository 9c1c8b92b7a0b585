// Reads what `ipset save` prints. Sets of others, with any type and options, are kept as text, so that they are recognised
// and nothing of them is lost. It never refuses a dump: a line that is none becomes an issue with its number.
import type { Family } from '../model/address.ts'
import type { Issue } from '../model/issue.ts'
import type { SetHeader, SetName, SetType } from './ip-set.ts'

export interface SavedSet {
  readonly name: SetName
  /** Type and options as printed behind the name, without bucketsize and initval, which the kernel chooses. */
  readonly definition: string
  /** What it would be made with; absent for a set that sluice never makes, whatever its name is. */
  readonly header?: SetHeader
  /** As printed, options of the entry included. */
  readonly entries: ReadonlySet<string>
}

export interface ParsedIpsetSave {
  /** In the order of the text. */
  readonly sets: ReadonlyMap<SetName, SavedSet>
  readonly issues: readonly Issue[]
}

// A name may hold blanks, and is printed without quotes.
const CREATE = /^create (.+?) ((?:hash|bitmap|list):\S+)((?: .*)?)$/
const CHOSEN_BY_KERNEL = / (?:bucketsize|initval) \S+/g
const OURS = /^(hash:ip|hash:ip,port|hash:ip,port,ip|hash:ip,port,net) family (inet6?) hashsize \d+ maxelem (\d+)$/

export function parseIpsetSave(text: string): ParsedIpsetSave {
  const sets = new Map<SetName, SavedSet>()
  const issues: Issue[] = []
  // The tool prints a set's entries right below it.
  let start: string | undefined
  let entries = new Set<string>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue
    if (start !== undefined && line.startsWith(start)) {
      entries.add(line.slice(start.length))
      continue
    }
    const set = readCreate(line)
    if (set === undefined) {
      const message = `${JSON.stringify(line.slice(0, 60))} is no line of ipset save: give its unchanged output`
      issues.push({ severity: 'error', at: { line: index + 1 }, message })
      continue
    }
    entries = new Set()
    start = `add ${set.name} `
    sets.set(set.name, { ...set, entries })
  }
  return { sets, issues }
}

function readCreate(line: string): Omit<SavedSet, 'entries'> | undefined {
  const [, name, type = '', options = ''] = CREATE.exec(line) ?? []
  if (name === undefined) return undefined
  const definition = `${type}${options.replaceAll(CHOSEN_BY_KERNEL, '')}`
  const header = readHeader(name, definition)
  return { name, definition, ...(header && { header }) }
}

/** hashsize is how large the kernel's table has grown, and no matter of the set's definition. */
function readHeader(name: SetName, definition: string): SetHeader | undefined {
  if (definition === 'bitmap:port range 0-65535') return { name, type: 'bitmap:port' }
  const [, type, inet, maxelem] = OURS.exec(definition) ?? []
  if (type === undefined) return undefined
  const family: Family = inet === 'inet6' ? 'ipv6' : 'ipv4'
  return { name, type: type as SetType, family, maxelem: Number(maxelem) }
}
