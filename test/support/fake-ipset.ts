// ipset on sets in memory: it does and says what the real one does, which a test in the second kernel holds.
import type { CommandResult } from '../../src/host/exec.ts'
import { parseCidr, parseIp } from '../../src/model/address.ts'

export interface FakeSet {
  /** `hash:ip,port family inet hashsize 1024 maxelem 65536` */
  definition: string
  entries: Set<string>
}

/** `change` makes one line of `ipset restore` true, or tells what the kernel says against it. */
export function runIpset(
  args: string,
  stdin: string,
  sets: Map<string, FakeSet>,
  change: (line: string) => string | undefined,
): CommandResult {
  if (args === 'save') {
    const blocks = [...sets].map(
      ([name, { definition, entries }]) =>
        `create ${name} ${definition}${definition.startsWith('hash') ? ' bucketsize 12 initval 0x7791cf92' : ''}\n${[...entries].map((entry) => `add ${name} ${entry}\n`).join('')}`,
    )
    return said(blocks.join(''))
  }
  if (args === 'list -t') {
    return said(
      [...sets]
        .map(
          ([name, { definition, entries }]) =>
            `Name: ${name}\nType: ${definition}\nNumber of entries: ${entries.size}\n`,
        )
        .join('\n'),
    )
  }
  for (const [index, line] of stdin.split('\n').entries()) {
    const problem = line === '' ? undefined : change(line)
    if (problem === undefined) continue
    return { stdout: '', stderr: `ipset v7.17: Error in line ${index + 1}: ${problem}\n`, exitCode: 1 }
  }
  return said('')
}

/** What the kernel says against it. */
export function changeSet(
  line: string,
  sets: Map<string, FakeSet>,
  usesSet: (name: string) => boolean,
): string | undefined {
  const repeatable = line.endsWith(' -exist')
  const [command, name = '', ...rest] = line.replace(/ -exist$/, '').split(' ')
  const set = sets.get(name)
  if (command === 'create') {
    const definition = rest.join(' ')
    if (set === undefined) sets.set(name, { definition, entries: new Set() })
    else if (!repeatable || kind(set.definition) !== kind(definition)) {
      return 'Set cannot be created: set with the same name already exists'
    }
    return undefined
  }
  if (set === undefined) return 'The set with the given name does not exist'
  if (command === 'destroy') {
    if (usesSet(name)) return 'Set cannot be destroyed: it is in use by a kernel component'
    sets.delete(name)
    return undefined
  }
  if (command === 'swap') {
    const other = sets.get(rest[0] ?? '')
    if (other === undefined) return 'The set with the given name does not exist'
    if (sort(set.definition) !== sort(other.definition)) return 'The sets cannot be swapped: their type does not match'
    sets.set(name, other)
    sets.set(rest[0] ?? '', set)
    return undefined
  }
  return changeEntry(command ?? '', rest.join(' '), set, repeatable)
}

function changeEntry(
  command: string,
  entry: string,
  { definition, entries }: FakeSet,
  repeatable: boolean,
): string | undefined {
  const problem = checkEntry(definition, entry)
  if (problem !== undefined) return problem
  if (command === 'add') {
    const [, maxelem] = /maxelem (\d+)/.exec(definition) ?? []
    if (!entries.has(entry) && maxelem !== undefined && entries.size >= Number(maxelem)) {
      return 'Hash is full, cannot add more elements'
    }
    entries.add(entry)
    return undefined
  }
  if (!entries.delete(entry) && !repeatable) return "Element cannot be deleted from the set: it's not added"
  return undefined
}

function checkEntry(definition: string, entry: string): string | undefined {
  const [type = ''] = definition.split(' ')
  if (type === 'bitmap:port')
    return Number(entry) <= 65_535 ? undefined : `Syntax error: '${entry}' is out of range 0-65535`
  const parts = entry.split(',')
  if (parts.length !== type.slice('hash:'.length).split(',').length) return 'Syntax error: missing element'
  const [ip = '', port, third] = parts
  if (parseIp(ip) === undefined) return `Syntax error: cannot parse ${ip}: resolving to IPv4 address failed`
  if (port !== undefined && !/^(tcp|udp|sctp):\d+$/.test(port)) return `Syntax error: cannot parse ${port}`
  if (third?.endsWith('/0')) return 'The value of the CIDR parameter of the IP address is invalid'
  if (third !== undefined && parseIp(third) === undefined && parseCidr(third) === undefined)
    return `Syntax error: cannot parse ${third}`
  return undefined
}

/** What -exist compares: all but the size of the hash, which the kernel changes itself. */
function kind(definition: string): string {
  return definition.replace(/ hashsize \d+/, '')
}

/** What has to agree for a swap. */
function sort(definition: string): string {
  return definition
    .split(' ')
    .slice(0, definition.startsWith('hash') ? 3 : 1)
    .join(' ')
}

function said(stdout: string): CommandResult {
  return { stdout, stderr: '', exitCode: 0 }
}
