// Prints sets as `ipset save` shows them, without what the kernel chooses, and the lines of `ipset restore`. Each line is
// complete and repeatable: with -exist, what is there already, or gone already, is no error.
// Format: ipset 7.17; test/second-kernel/ipvs-texts.test.ts holds it against the tool.
import { HASH_SIZE, type SetHeader, type SetName } from './ip-set.ts'
import type { SavedSet } from './parse.ts'

/** A set of ours, or one that the kernel showed. Entries are the elements of a Set, or the keys of a Map. */
export type PrintableSet =
  | { readonly header: SetHeader; readonly entries: Pick<ReadonlySet<string>, 'keys'> }
  | Pick<SavedSet, 'name' | 'definition' | 'entries'>

/** Canonical form: sets sorted by name, the entries of each sorted below it. Empty text for no sets. */
export function printIpsetSave(sets: Iterable<PrintableSet>): string {
  const printed = [...sets].map((set): readonly [SetName, string] => {
    const [name, definition] =
      'definition' in set ? [set.name, set.definition] : [set.header.name, defineSet(set.header)]
    let text = `create ${name} ${definition}\n`
    for (const entry of [...set.entries.keys()].toSorted()) text += `add ${name} ${entry}\n`
    return [name, text]
  })
  return printed
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, text]) => text)
    .join('')
}

/**
 * Type and options as `ipset save` prints them behind the name, without bucketsize and initval:
 * `hash:ip,port family inet hashsize 1024 maxelem 65536`.
 */
function defineSet({ type, family, maxelem }: SetHeader): string {
  if (type === 'bitmap:port') return `${type} range 0-65535`
  const inet = family === 'ipv6' ? 'inet6' : 'inet'
  return `${type} family ${inet} hashsize ${HASH_SIZE}${maxelem === undefined ? '' : ` maxelem ${maxelem}`}`
}

/** Fails where a set of that name has another type or other limits. */
export function createSetLine(header: SetHeader): string {
  return `create ${word(header.name)} ${defineSet(header)} -exist`
}

export function addEntryLine(set: SetName, entry: string): string {
  return `add ${word(set)} ${word(entry)} -exist`
}

export function deleteEntryLine(set: SetName, entry: string): string {
  return `del ${word(set)} ${word(entry)} -exist`
}

/** Both must be there and have the same type; rules that name one then use what the other held. */
export function swapSetsLine(one: SetName, other: SetName): string {
  return `swap ${word(one)} ${word(other)}`
}

/** Fails while a rule names the set. */
export function destroySetLine(set: SetName): string {
  return `destroy ${word(set)}`
}

const WORD = /^[\w.,:/-]+$/

/** The same text; throws for one that could be more than a name or an entry of ours. */
function word(text: string): string {
  if (WORD.test(text)) return text
  throw new Error(`${JSON.stringify(text)} can't be a word of ipset: use letters, digits and _ . , : / - alone`)
}
