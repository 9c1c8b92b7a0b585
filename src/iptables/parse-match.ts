// Understands one match or one target of a rule, given its name and its option words. Anything unexpected, down to a
// single option, makes the whole of it `unknown` with its words as they stand.
import type { Family } from '../model/address.ts'
import { isFlag, type Option, onlyValue, parseUnsigned, readOptions, WHOLE_MARK } from './match-options.ts'
import { virtualServerMatch } from './parse-virtual-server-match.ts'
import type { MarkBits, Match, Negatable, PortRange, Target } from './rule.ts'
import { hasControlCharacter, isBareWord, unquote } from './words.ts'

/** A match, from its name (`comment`) and the words behind it (`--comment`, `"a b"`). */
export function parseMatch(name: string, words: readonly string[], family: Family): Match {
  return understandMatch(name, words, family) ?? { kind: 'unknown', words: ['-m', name, ...words] }
}

/** A target, from its flag, its name (`DNAT`, `KUBE-SERVICES`) and the words behind it. */
export function parseTarget(flag: '-j' | '-g', name: string, words: readonly string[], family: Family): Target {
  return understandTarget(flag, name, words, family) ?? { kind: 'unknown', words: [flag, name, ...words] }
}

// The order in which the kernel's bits are printed (libxt_conntrack.c).
const CONNTRACK_STATES = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'SNAT', 'DNAT']

// Targets that stand for no chain even when they have no options.
const EXTENSION_TARGETS: ReadonlySet<string> = new Set(
  `AUDIT CHECKSUM CLASSIFY CONNMARK CONNSECMARK CT DNPT DSCP ECN HL HMARK IDLETIMER LED LOG NETMAP NFLOG NFQUEUE NOTRACK
  QUEUE RATEEST REDIRECT SECMARK SET SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY TRACE TTL ULOG`.split(/\s+/),
)

const REJECT_DEFAULT: Readonly<Record<Family, string>> = {
  ipv4: 'icmp-port-unreachable',
  ipv6: 'icmp6-port-unreachable',
}

function understandMatch(name: string, words: readonly string[], family: Family): Match | undefined {
  if (name === 'comment') return commentMatch(words)
  const options = readOptions(words)
  if (options === undefined) return undefined
  switch (name) {
    case 'tcp':
    case 'udp':
    case 'sctp':
      return portsMatch(name, options)
    case 'addrtype':
      return addressTypeMatch(options)
    case 'conntrack':
      return conntrackMatch(options)
    case 'mark': {
      const [option] = options
      const mark = options.length === 1 && option?.flag === '--mark' ? parseMark(onlyValue(option)) : undefined
      return mark && option && { kind: 'mark', mark: negatable(mark, option.not) }
    }
    case 'statistic':
      return statisticMatch(options)
    case 'recent':
      return recentMatch(options, family)
    case 'nfacct': {
      const [option] = options
      const counter = options.length === 1 && option?.flag === '--nfacct-name' && !option.not && onlyValue(option)
      return counter ? { kind: 'nfacct', name: counter } : undefined
    }
    case 'set':
      return setMatch(options)
    case 'ipvs':
      return virtualServerMatch(options, family)
    case 'physdev': {
      const [option] = options
      const isIn = options.length === 1 && option?.flag === '--physdev-is-in' && option.values.length === 0
      return isIn ? { kind: 'physdev', isIn: !option.not } : undefined
    }
    default:
      return undefined
  }
}

function understandTarget(
  flag: '-j' | '-g',
  name: string,
  words: readonly string[],
  family: Family,
): Target | undefined {
  if (!isBareWord(name)) return undefined
  if (flag === '-g') return words.length === 0 ? { kind: 'goto', chain: name } : undefined
  const options = readOptions(words)
  if (options === undefined || options.length > 1) return undefined
  const [option] = options
  switch (name) {
    case 'ACCEPT':
    case 'DROP':
    case 'RETURN':
      return option === undefined ? VERDICTS[name] : undefined
    case 'REJECT':
      if (option === undefined) return { kind: 'reject', with: REJECT_DEFAULT[family] }
      return option.flag === '--reject-with'
        ? withBareWord(option, (type) => ({ kind: 'reject', with: type }))
        : undefined
    case 'DNAT':
      return option?.flag === '--to-destination' ? withBareWord(option, (to) => ({ kind: 'dnat', to })) : undefined
    case 'MASQUERADE':
      if (option === undefined) return { kind: 'masquerade', randomFully: false }
      return isFlag(option, '--random-fully') ? { kind: 'masquerade', randomFully: true } : undefined
    case 'MARK':
      return option === undefined ? undefined : markTarget(option)
    default:
      return option === undefined && !EXTENSION_TARGETS.has(name) ? { kind: 'jump', chain: name } : undefined
  }
}

const VERDICTS = {
  ACCEPT: { kind: 'accept' },
  DROP: { kind: 'drop' },
  RETURN: { kind: 'return' },
} as const satisfies Record<string, Target>

function commentMatch(words: readonly string[]): Match | undefined {
  const [flag, word] = words
  if (words.length !== 2 || flag !== '--comment' || word === undefined) return undefined
  const text = unquote(word)
  // A tab can be in a line but not in a comment of ours, so such a comment keeps its words.
  return text.includes('\t') || hasControlCharacter(text) ? undefined : { kind: 'comment', text }
}

function portsMatch(protocol: 'tcp' | 'udp' | 'sctp', options: readonly Option[]): Match | undefined {
  const match: {
    kind: 'ports'
    protocol: typeof protocol
    source?: Negatable<PortRange>
    destination?: Negatable<PortRange>
  } = { kind: 'ports', protocol }
  for (const option of options) {
    const side = PORT_SIDES.get(option.flag)
    const range = parsePortRange(onlyValue(option))
    if (side === undefined || range === undefined || match[side] !== undefined) return undefined
    // All ports is no condition, and the kernel's form leaves it out.
    if (option.not || range.from !== 0 || range.to !== 65_535) match[side] = negatable(range, option.not)
  }
  return match
}

const PORT_SIDES: ReadonlyMap<string, 'source' | 'destination'> = new Map([
  ['--sport', 'source'],
  ['--source-port', 'source'],
  ['--dport', 'destination'],
  ['--destination-port', 'destination'],
])

function addressTypeMatch(options: readonly Option[]): Match | undefined {
  const match: { kind: 'addrtype'; source?: Negatable<string>; destination?: Negatable<string> } = { kind: 'addrtype' }
  for (const option of options) {
    const side = option.flag === '--src-type' ? 'source' : 'destination'
    const type = onlyValue(option)
    if (type === undefined || !isBareWord(type) || match[side] !== undefined) return undefined
    if (side === 'destination' && option.flag !== '--dst-type') return undefined
    match[side] = negatable(type, option.not)
  }
  return match
}

function conntrackMatch(options: readonly Option[]): Match | undefined {
  const [option] = options
  const given = options.length === 1 && option?.flag === '--ctstate' ? onlyValue(option)?.split(',') : undefined
  if (given === undefined || option === undefined) return undefined
  if (!given.every((state) => CONNTRACK_STATES.includes(state))) return undefined
  const states = CONNTRACK_STATES.filter((state) => given.includes(state))
  return { kind: 'conntrack', states: negatable(states, option.not) }
}

function statisticMatch(options: readonly Option[]): Match | undefined {
  const [mode, chance] = options
  if (options.length !== 2 || mode?.flag !== '--mode' || onlyValue(mode) !== 'random' || mode.not) return undefined
  if (chance?.flag !== '--probability' || chance.not) return undefined
  const text = onlyValue(chance)
  if (text === undefined || !/^(?:\d+\.?\d*|\.\d+)$/.test(text)) return undefined
  const probability = Number(text)
  return probability <= 1 ? { kind: 'statistic', threshold: Math.round(probability * 2 ** 31) } : undefined
}

function recentMatch(options: readonly Option[], family: Family): Match | undefined {
  let name = 'DEFAULT'
  let action: 'set' | 'check' | undefined
  let seconds: number | undefined
  let reap = false
  for (const option of options) {
    const value = onlyValue(option)
    if (option.not) return undefined
    if (isFlag(option, '--set') && action === undefined) action = 'set'
    else if (isFlag(option, '--rcheck') && action === undefined) action = 'check'
    else if (isFlag(option, '--reap')) reap = true
    else if (option.flag === '--name' && value !== undefined && isBareWord(value)) name = value
    else if (option.flag === '--seconds' && value !== undefined) seconds = parseUnsigned(value)
    else if (!isFlag(option, '--rsource') && !(option.flag === '--mask' && value === ALL_ONES[family])) return undefined
  }
  if (action === 'set' && seconds === undefined && !reap) return { kind: 'recent', name, action: { kind: 'set' } }
  // iptables-save prints more seconds than these as a negative number.
  if (action !== 'check' || seconds === undefined || seconds >= 2 ** 31) return undefined
  return { kind: 'recent', name, action: { kind: 'check', seconds, reap } }
}

const ALL_ONES: Readonly<Record<Family, string>> = {
  ipv4: '255.255.255.255',
  ipv6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
}

function setMatch(options: readonly Option[]): Match | undefined {
  const [option] = options
  if (options.length !== 1 || option?.flag !== '--match-set' || option.values.length !== 2) return undefined
  const [name = '', directions = ''] = option.values
  if (!isBareWord(name) || !isBareWord(directions)) return undefined
  return { kind: 'set', set: negatable({ name, directions }, option.not) }
}

/** What the aliases of `--set-xmark` mean: libxt_MARK.c, mark_tg_parse. */
function markTarget(option: Option): Target | undefined {
  const given = parseMark(onlyValue(option))
  if (given === undefined || option.not) return undefined
  const { value, mask } = given
  if (option.flag === '--set-xmark') return { kind: 'mark', xmark: given }
  if (option.flag === '--set-mark') return { kind: 'mark', xmark: { value, mask: (value | mask) >>> 0 } }
  if (mask !== WHOLE_MARK) return undefined
  if (option.flag === '--or-mark') return { kind: 'mark', xmark: { value, mask: value } }
  if (option.flag === '--xor-mark') return { kind: 'mark', xmark: { value, mask: 0 } }
  if (option.flag === '--and-mark') return { kind: 'mark', xmark: { value: 0, mask: ~value >>> 0 } }
  return undefined
}

function withBareWord(option: Option, make: (word: string) => Target): Target | undefined {
  const value = onlyValue(option)
  return value !== undefined && !option.not && isBareWord(value) ? make(value) : undefined
}

/** `80`, `80:90`, `:90`, `80:` */
function parsePortRange(text: string | undefined): PortRange | undefined {
  const parts = /^(\d*)(:?)(\d*)$/.exec(text ?? '')
  if (parts === null || text === '' || text === ':') return undefined
  const [, first = '', colon = '', last = ''] = parts
  const from = first === '' ? 0 : Number(first)
  const to = colon === '' ? from : Number(last === '' ? 65_535 : last)
  return from <= to && to <= 65_535 ? { from, to } : undefined
}

/** `0x4000/0x4000` or `5`; decimal, hexadecimal or octal, as C's strtoul reads them. */
function parseMark(text: string | undefined): MarkBits | undefined {
  const [first = '', second, ...rest] = (text ?? '').split('/')
  const value = parseUnsigned(first)
  const mask = second === undefined ? WHOLE_MARK : parseUnsigned(second)
  return value === undefined || mask === undefined || rest.length > 0 ? undefined : { value, mask }
}

function negatable<T>(value: T, not: boolean): Negatable<T> {
  return not ? { value, not } : { value }
}
