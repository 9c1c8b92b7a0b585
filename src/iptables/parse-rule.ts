// Reads one rule, both as iptables-save prints it and as people and kube-proxy give it to iptables-restore. It first
// sorts the words into header, matches and target, because options may stand in any order, then understands each part.
// What it does not understand stays word for word as `unknown`: a gap costs a rewrite of a chain, never a wrong rule.
import type { Cidr, Family } from '../model/address.ts'
import { familyOfCidr, familyOfIp, hostCidr, parseCidr, parseIp } from '../model/address.ts'
import { parseMatch, parseTarget } from './parse-match.ts'
import { printRule } from './print-rule.ts'
import type { Match, Negatable, Rule } from './rule.ts'
import { isBareWord, splitWords, unquote } from './words.ts'

/**
 * A rule without `-A CHAIN`, in any form that iptables-restore reads. Aliases and defaults become what the kernel keeps
 * (`--or-mark 0x4000` is `--set-xmark 0x4000/0x4000`); a line that makes no sense becomes unknown words.
 */
export function parseRule(text: string, family: Family): Rule {
  const words = splitWords(text)
  const parts = words === undefined ? undefined : sortWords(words, family)
  if (parts === undefined) return keepWords(text.trim(), family)
  const matches = parts.matches.map((part): Match => parseMatch(part.name, part.options, family))
  const { target } = parts
  if (target === undefined) return { ...parts.header, matches }
  return { ...parts.header, matches, target: parseTarget(target.flag, target.name, target.options, family) }
}

/**
 * A rule without `-A CHAIN`, as iptables-save printed it on one line without control characters (a tab is fine). Whatever the line, `printRule` gives it back to the byte: a
 * line that this program would print in another way keeps its words.
 */
export function parseSavedRule(text: string, family: Family): Rule {
  const rule = parseRule(text, family)
  return printRule(rule, family) === text ? rule : keepWordsExactly(text, family)
}

type Header = { -readonly [Key in 'source' | 'destination' | 'inInterface' | 'outInterface' | 'protocol']?: Rule[Key] }

/** Options are words as they stand, `!` included. */
interface MatchPart {
  readonly name: string
  readonly options: string[]
}

interface TargetPart extends MatchPart {
  readonly flag: '-j' | '-g'
}

interface Parts {
  readonly header: Header
  readonly matches: MatchPart[]
  target?: TargetPart
}

const HEADER_FLAGS: ReadonlyMap<string, keyof Header> = new Map([
  ['-s', 'source'],
  ['--source', 'source'],
  ['--src', 'source'],
  ['-d', 'destination'],
  ['--destination', 'destination'],
  ['--dst', 'destination'],
  ['-i', 'inInterface'],
  ['--in-interface', 'inInterface'],
  ['-o', 'outInterface'],
  ['--out-interface', 'outInterface'],
  ['-p', 'protocol'],
  ['--protocol', 'protocol'],
])
const PORT_FLAGS: ReadonlySet<string> = new Set(['--sport', '--source-port', '--dport', '--destination-port'])
const PORT_PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp'])

/** Undefined when the words cannot be a rule, or have a header that the model has no place for. */
function sortWords(words: readonly string[], family: Family): Parts | undefined {
  const parts: Parts = { header: {}, matches: [] }
  let current: MatchPart | undefined
  let not = false
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (word === '!') {
      if (not) return undefined
      not = true
      continue
    }
    const field = HEADER_FLAGS.get(word)
    if (field !== undefined) {
      at += 1
      if (!setHeader(parts.header, field, words[at], not, family)) return undefined
    } else if (isMatchFlag(word) || isTargetFlag(word)) {
      at += 1
      const opened = openPart(parts, word, words[at])
      if (opened === undefined || not) return undefined
      current = opened
    } else {
      if (PORT_FLAGS.has(word)) current = partForPorts(parts, current)
      if (current === undefined) return undefined
      if (not) current.options.push('!')
      current.options.push(word)
      // The text of a comment is not looked at: it may be `-s`.
      if (word === '--comment' && at + 1 < words.length) current.options.push(words[(at += 1)] ?? '')
    }
    not = false
  }
  return not ? undefined : parts
}

/** Whether the value could be understood; a header option may stand only once. */
function setHeader(
  header: Header,
  field: keyof Header,
  word: string | undefined,
  not: boolean,
  family: Family,
): boolean {
  if (word === undefined || header[field] !== undefined) return false
  const text = unquote(word)
  switch (field) {
    case 'source':
    case 'destination': {
      const network = parseNetwork(text, family)
      if (network === undefined) return false
      if (not || !network.endsWith('/0')) header[field] = negatable(network, not)
      return true
    }
    case 'inInterface':
    case 'outInterface':
      if (!isBareWord(text)) return false
      if (not || text !== '+') header[field] = negatable(text, not)
      return true
    case 'protocol': {
      const protocol = protocolName(text)
      if (!isBareWord(protocol)) return false
      if (not || protocol !== 'all') header[field] = negatable(protocol, not)
      return true
    }
    default:
      return field satisfies never
  }
}

function isMatchFlag(word: string): boolean {
  return word === '-m' || word === '--match'
}

function isTargetFlag(word: string): boolean {
  return word === '-j' || word === '--jump' || word === '-g' || word === '--goto'
}

function openPart(parts: Parts, flag: string, nameWord: string | undefined): MatchPart | undefined {
  if (nameWord === undefined) return undefined
  const text = unquote(nameWord)
  const name = isBareWord(text) ? text : nameWord
  if (isMatchFlag(flag)) {
    const match: MatchPart = { name, options: [] }
    parts.matches.push(match)
    return match
  }
  if (parts.target !== undefined) return undefined
  parts.target = { flag: flag === '-g' || flag === '--goto' ? '-g' : '-j', name, options: [] }
  return parts.target
}

/** Port options belong to the protocol's match, wherever they stand; `-p tcp --dport 80` loads that match by itself. */
function partForPorts(parts: Parts, current: MatchPart | undefined): MatchPart | undefined {
  if (current !== undefined && PORT_PROTOCOLS.has(current.name)) return current
  const loaded = parts.matches.findLast((part) => PORT_PROTOCOLS.has(part.name))
  if (loaded !== undefined) return loaded
  const { protocol } = parts.header
  if (protocol === undefined || protocol.not === true || !PORT_PROTOCOLS.has(protocol.value)) return undefined
  const implied: MatchPart = { name: protocol.value, options: [] }
  parts.matches.push(implied)
  return implied
}

function parseNetwork(text: string, family: Family): Cidr | undefined {
  if (text.includes('/')) {
    const network = parseCidr(text)
    return network !== undefined && familyOfCidr(network) === family ? network : undefined
  }
  const ip = parseIp(text)
  return ip !== undefined && familyOfIp(ip) === family ? hostCidr(ip) : undefined
}

function protocolName(text: string): string {
  const name = text.toLowerCase()
  return PROTOCOL_NAMES.get(name) ?? name
}

const PROTOCOL_NAMES: ReadonlyMap<string, string> = new Map([
  ['0', 'all'],
  ['6', 'tcp'],
  ['17', 'udp'],
  ['132', 'sctp'],
])

function negatable<T>(value: T, not: boolean): Negatable<T> {
  return not ? { value, not } : { value }
}

/** Everything before the target becomes one unknown match; splitting at every blank keeps doubled ones. */
function keepWords(text: string, family: Family): Rule {
  const [flag, name = ''] = splitWords(text)?.slice(-2) ?? []
  const end = ` ${flag} ${name}`
  if ((flag !== '-j' && flag !== '-g') || !isBareWord(name) || !` ${text}`.endsWith(end)) {
    return { matches: verbatim(text) }
  }
  const before = ` ${text}`.slice(1, -end.length)
  return { matches: verbatim(before), target: parseTarget(flag, name, [], family) }
}

function keepWordsExactly(text: string, family: Family): Rule {
  const rule = keepWords(text, family)
  // A bare `-j REJECT` gains its type and so is not what was printed.
  return printRule(rule, family) === text ? rule : { matches: verbatim(text) }
}

function verbatim(text: string): readonly Match[] {
  return text === '' ? [] : [{ kind: 'unknown', words: text.split(' ') }]
}
