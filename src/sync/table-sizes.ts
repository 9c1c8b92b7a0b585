// How many entries iptables-legacy's tables have and where their base chains begin, without the entries: the kernel tells
// it for one getsockopt (IPT_SO_GET_INFO, linux/netfilter_ipv4/ip_tables.h) of 3 microseconds, whatever the size, and a
// flush, a missing chain, jump or rule makes it another one. No tool of iptables stops at that, and Node has no
// getsockopt, so perl asks, which every Debian has (perl-base): 4 ms of a core for its start. Without perl everything is read.
import type { Hands } from '../host/hands.ts'
import type { Family } from '../model/address.ts'
import { isCommandError } from './restore-failure.ts'

export interface TableSizes {
  /** The same as long as nobody added, removed or resized an entry. */
  readonly text: string
  /** Of all tables: a rule is one, a chain of a user two, and a base chain and the end of a table one each. */
  readonly entries: number
}

/** Undefined where nobody can ask: then it is not tried again. Rejects when the question failed this time only. */
export type ReadTableSizes = (tables: readonly string[]) => Promise<TableSizes | undefined>

export function createTableSizes(hands: Pick<Hands, 'run'>, family: Family): ReadTableSizes {
  let isPossible = true
  return async (tables) => {
    if (!isPossible) return undefined
    try {
      const argv = ['perl', '-MConfig', '-e', scriptFor(family), ...tables] as const
      const { stdout } = await hands.run({ argv, timeoutMs: TIMEOUT_MS })
      return readSizes(stdout, tables)
    } catch (error) {
      if (!isCommandError(error) || !LASTING.has(error.failure.kind)) throw error
      isPossible = false
      return undefined
    }
  }
}

const LASTING: ReadonlySet<string> = new Set(['missing', 'not started', 'exit'])
const TIMEOUT_MS = 30_000
/** AF_INET and SOL_IP, AF_INET6 and SOL_IPV6. Any socket of the family will do. */
const SOCKETS: Readonly<Record<Family, { readonly domain: number; readonly level: number }>> = {
  ipv4: { domain: 2, level: 0 },
  ipv6: { domain: 10, level: 41 },
}

/**
 * struct ipt_getinfo: a name of 32 bytes, then 13 numbers, of which the last two are the entries and their bytes. A table
 * that is not there is said to be missing; it may be made again.
 */
function scriptFor(family: Family): string {
  const { domain, level } = SOCKETS[family]
  return [
    // The number of the system call (asm/unistd_64.h, asm-generic/unistd.h) is that of perl's own processor.
    'my $a = $Config{archname};',
    'my $c = $a =~ /^x86_64-linux(?!-gnux32)/ ? 55 : $a =~ /^aarch64-linux/ ? 209 : die "unknown: $a\\n";',
    `socket(my $s, ${domain}, 2, 0) or die "socket: $!\\n";`,
    'for my $t (@ARGV) {',
    'my ($b, $l) = (pack("a84", $t), pack("I", 84));',
    `if (syscall($c, fileno($s), ${level}, 64, $b, $l) == 0) { print join(" ", $t, unpack("x32 L13", $b)), "\\n" }`,
    'elsif ($! == 2) { print "$t missing\\n" } else { die "$t: $!\\n" }',
    '}',
  ].join(' ')
}

/** Throws when the answer is not of these tables. */
export function readSizes(stdout: string, tables: readonly string[]): TableSizes {
  const lines = stdout.trimEnd().split('\n')
  let entries = 0
  for (const [index, table] of tables.entries()) {
    const [name, ...words] = lines[index]?.split(' ') ?? []
    if (name !== table) throw new Error(`the kernel was asked for table ${table}, and perl said: ${lines[index]}`)
    if (words[0] === 'missing') continue
    const count = Number(words[ENTRIES])
    if (words.length !== NUMBERS || !Number.isSafeInteger(count)) {
      throw new Error(`perl shows table ${table} in another form: ${lines[index]}`)
    }
    entries += count
  }
  return { text: stdout, entries }
}

const NUMBERS = 13
const ENTRIES = 11
