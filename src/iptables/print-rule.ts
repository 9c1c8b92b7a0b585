// Prints one rule in the form in which iptables-save 1.8.9 shows it: the header in fixed order, matches in theirs, the
// target. That form is a fixed point (restored and saved again it is the same, by iptables-nft and iptables-legacy), so
// it serves as golden text, as restore input and as the key by which rules are compared. It runs for every rule of
// every service, hence plain concatenation.
import type { Family } from '../model/address.ts'
import type { MarkBits, Match, Negatable, PortRange, RecentAction, Rule, Target } from './rule.ts'
import { bareWord, partOfLine, quote } from './words.ts'

const ALL_ONES: Readonly<Record<Family, string>> = {
  ipv4: '255.255.255.255',
  ipv6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
}
const WHOLE_MARK = 0xffffffff

/**
 * A rule without `-A CHAIN`; empty for a rule that matches everything and does nothing. Throws when a comment or a name
 * in it could not stand in a line.
 */
export function printRule(rule: Rule, family: Family): string {
  return printRuleLine('', rule, family).slice(1)
}

/** A whole line: `start` is its beginning without a trailing blank, such as `-A KUBE-SERVICES` or `-I INPUT 1`. */
export function printRuleLine(start: string, rule: Rule, family: Family): string {
  let line = start
  if (rule.source !== undefined) line += printNetwork(' -s ', rule.source)
  if (rule.destination !== undefined) line += printNetwork(' -d ', rule.destination)
  if (rule.inInterface !== undefined) line += negatable(rule.inInterface, ' -i ') + bareWord(rule.inInterface.value)
  if (rule.outInterface !== undefined) line += negatable(rule.outInterface, ' -o ') + bareWord(rule.outInterface.value)
  if (rule.protocol !== undefined) line += negatable(rule.protocol, ' -p ') + bareWord(rule.protocol.value)
  for (const match of rule.matches) line += printMatch(match, family)
  return rule.target === undefined ? line : line + printTarget(rule.target)
}

/** A network of all addresses is no condition, and the kernel does not keep it. */
function printNetwork(flag: string, network: Negatable<string>): string {
  const { value } = network
  if (value.endsWith('/0') && network.not === undefined) return ''
  return negatable(network, flag) + value
}

function negatable(negatableValue: Negatable<unknown>, flag: string): string {
  return negatableValue.not === true ? ` !${flag}` : flag
}

function printMatch(match: Match, family: Family): string {
  switch (match.kind) {
    case 'comment':
      return ` -m comment --comment ${quote(match.text)}`
    case 'ports':
      return ` -m ${match.protocol}${printPorts(' --sport ', match.source)}${printPorts(' --dport ', match.destination)}`
    case 'addrtype':
      return ` -m addrtype${printAddressType(' --src-type ', match.source)}${printAddressType(' --dst-type ', match.destination)}`
    case 'conntrack':
      return ` -m conntrack${negatable(match.states, ' --ctstate ')}${bareWord(match.states.value.join(','))}`
    case 'mark':
      return ` -m mark${negatable(match.mark, ' --mark ')}${printMark(match.mark.value)}`
    case 'statistic':
      return ` -m statistic --mode random --probability ${printProbability(match.threshold)}`
    case 'recent':
      return ` -m recent ${printRecentAction(match.action)} --name ${bareWord(match.name)} --mask ${ALL_ONES[family]} --rsource`
    case 'nfacct':
      return ` -m nfacct --nfacct-name  ${quote(match.name)}`
    case 'set':
      return ` -m set${negatable(match.set, ' --match-set ')}${bareWord(match.set.value.name)} ${bareWord(match.set.value.directions)}`
    case 'ipvs':
      return ` -m ipvs --vproto ${match.protocol} --vaddr ${match.address} --vport ${match.port}`
    case 'physdev':
      return match.isIn ? ' -m physdev --physdev-is-in' : ' -m physdev ! --physdev-is-in'
    case 'unknown':
      return ` ${partOfLine(match.words.join(' '))}`
    default:
      return match satisfies never
  }
}

function printTarget(target: Target): string {
  switch (target.kind) {
    case 'jump':
      return ` -j ${bareWord(target.chain)}`
    case 'goto':
      return ` -g ${bareWord(target.chain)}`
    case 'accept':
      return ' -j ACCEPT'
    case 'drop':
      return ' -j DROP'
    case 'return':
      return ' -j RETURN'
    case 'reject':
      return ` -j REJECT --reject-with ${bareWord(target.with)}`
    case 'dnat':
      return ` -j DNAT --to-destination ${bareWord(target.to)}`
    case 'masquerade':
      return target.randomFully ? ' -j MASQUERADE --random-fully' : ' -j MASQUERADE'
    case 'mark':
      return ` -j MARK --set-xmark ${hexadecimal(target.xmark.value)}/${hexadecimal(target.xmark.mask)}`
    case 'unknown':
      return ` ${partOfLine(target.words.join(' '))}`
    default:
      return target satisfies never
  }
}

function printPorts(flag: string, ports: Negatable<PortRange> | undefined): string {
  if (ports === undefined) return ''
  const { from, to } = ports.value
  return negatable(ports, flag) + (from === to ? from : `${from}:${to}`)
}

function printAddressType(flag: string, type: Negatable<string> | undefined): string {
  return type === undefined ? '' : negatable(type, flag) + bareWord(type.value)
}

function printMark(mark: MarkBits): string {
  return mark.mask === WHOLE_MARK ? hexadecimal(mark.value) : `${hexadecimal(mark.value)}/${hexadecimal(mark.mask)}`
}

function hexadecimal(bits: number): string {
  return `0x${bits.toString(16)}`
}

/** Formatting a number takes longer than printing a rule, and few thresholds recur in most rules. */
function printProbability(threshold: number): string {
  const known = probabilities.get(threshold)
  if (known !== undefined) return known
  if (probabilities.size >= MOST_PROBABILITIES) probabilities.clear()
  const text = formatProbability(threshold)
  probabilities.set(threshold, text)
  return text
}

const probabilities = new Map<number, string>()
const MOST_PROBABILITIES = 10_000

/**
 * `threshold` / 2^31 with 11 decimals, ties to even as C's printf has it. A tie needs a threshold that is an odd
 * multiple of 2^19, such as that of 1/4096; there toFixed would round up.
 */
function formatProbability(threshold: number): string {
  if (threshold % 2 ** 20 !== 2 ** 19) return (threshold / 2 ** 31).toFixed(11)
  const below = (BigInt(threshold) * 5n ** 11n) / 2n ** 20n
  const digits = String(below + (below % 2n)).padStart(12, '0')
  return `${digits.slice(0, -11)}.${digits.slice(-11)}`
}

function printRecentAction(action: RecentAction): string {
  if (action.kind === 'set') return '--set'
  return `--rcheck --seconds ${action.seconds}${action.reap ? ' --reap' : ''}`
}
