// What a rule does, in a form in which two rules that do the same are the same text: without comments and counters,
// matches in one order, the masquerade mark by its purpose and not by its bit, chains of Services by their role.
import { parseRule } from '../iptables/parse-rule.ts'
import { printRule } from '../iptables/print-rule.ts'
import type { ChainName, MarkBits, Match, Negatable, PortRange, Rule, Target } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'

export interface EffectRule {
  /** Texts such as `! -s 10.0.0.0/8`, sorted; the chance and the memory of a client are not among them. */
  readonly conditions: readonly string[]
  /** In words; undefined when the rule does nothing. */
  readonly action: string | undefined
  /** The chain that it hands packets to. */
  readonly chain?: ChainName
  /** 0 to 1; absent when no chance is involved. */
  readonly chance?: number
  /** Only for a client that was here in the last so many seconds. */
  readonly rememberedSeconds?: number
  readonly remembers?: true
  /** `10.0.0.1:80`, of a DNAT. */
  readonly endpoint?: string
  /** The address alone, when the rule is for one. */
  readonly address?: string
  readonly port?: number
}

export interface EffectContext {
  readonly family: Family
  /** The bits that this side marks packets for masquerading with; absent when it does not. */
  readonly mark?: number
}

/** The bits of `-j MARK --set-xmark` in KUBE-MARK-MASQ. */
export function findMasqueradeMark(rules: readonly string[], family: Family): number | undefined {
  for (const rule of rules) {
    const { target } = parseRule(rule, family)
    if (target?.kind === 'mark' && target.xmark.value !== 0) return target.xmark.value
  }
  return undefined
}

/** `text` is a rule without `-A CHAIN `. */
export function readEffect(text: string, context: EffectContext): EffectRule {
  return effectOf(parseRule(text, context.family), context)
}

export function effectOf(rule: Rule, context: EffectContext): EffectRule {
  const { target } = rule
  const conditions = [...headerConditions(rule), ...rule.matches.flatMap((m) => condition(m, context))]
  const action = target === undefined ? undefined : describeTarget(target, context)
  const chain = target?.kind === 'jump' || target?.kind === 'goto' ? target.chain : undefined
  const chance = rule.matches.find((match) => match.kind === 'statistic')
  const recent = rule.matches.find((match) => match.kind === 'recent')
  const ports = rule.matches.find((match) => match.kind === 'ports')?.destination
  const single = ports !== undefined && ports.not === undefined && ports.value.from === ports.value.to
  const { destination } = rule
  const isHost = destination !== undefined && destination.not === undefined && /\/(?:32|128)$/.test(destination.value)
  return {
    conditions: conditions.toSorted(),
    action,
    ...(chain !== undefined && { chain }),
    ...(chance !== undefined && { chance: chance.threshold / 2 ** 31 }),
    ...(recent?.action.kind === 'check' && { rememberedSeconds: recent.action.seconds }),
    ...(recent?.action.kind === 'set' && { remembers: true as const }),
    ...(target?.kind === 'dnat' && { endpoint: target.to }),
    ...(isHost && { address: destination.value.replace(/\/\d+$/, '') }),
    ...(single && { port: ports.value.from }),
  }
}

/** One line: what it takes, then what it does. */
export function printEffect({ conditions, action, chance, rememberedSeconds, remembers }: EffectRule): string {
  const all = [
    ...conditions,
    ...(chance === undefined ? [] : [`by chance ${formatShare(chance)}`]),
    ...(rememberedSeconds === undefined ? [] : [`client known for ${rememberedSeconds} s`]),
    ...(remembers === true ? ['remembering the client'] : []),
  ]
  return all.length === 0 ? (action ?? 'nothing') : `${all.join(' ')}: ${action ?? 'nothing'}`
}

/**
 * The rules of a chain that act, in their order: without those that do nothing and those that the next one covers. The
 * second of two marks in a row is not looked at.
 */
export function readEffects(texts: readonly string[], context: EffectContext): readonly EffectRule[] {
  const rules = texts
    .map((text) => readEffect(text, context))
    .filter(({ action, remembers }) => action !== undefined || remembers === true)
  return rules.filter((rule, index) => {
    const next = rules[index + 1]
    return next === undefined || !covers(next, rule)
  })
}

/** Whether whatever `narrow` takes `wide` takes too, and does the same with it. */
function covers(wide: EffectRule, narrow: EffectRule): boolean {
  if (wide.action !== narrow.action || wide.chain !== narrow.chain || isConditional(wide)) return false
  return !isConditional(narrow) && wide.conditions.every((text) => narrow.conditions.includes(text))
}

function isConditional({ chance, rememberedSeconds, remembers }: EffectRule): boolean {
  return chance !== undefined || rememberedSeconds !== undefined || remembers === true
}

/** `1/3`, `all`, or `12.5%` where it is no whole part. */
export function formatShare(share: number): string {
  if (share <= 0) return 'nothing'
  const parts = Math.round(1 / share)
  if (parts >= 1 && Math.abs(share * parts - 1) < 1e-3) return parts === 1 ? 'all' : `1/${parts}`
  return `${(share * 100).toFixed(share < 0.01 ? 4 : 2)}%`
}

function headerConditions(rule: Rule): readonly string[] {
  const { source, destination, inInterface, outInterface, protocol } = rule
  const conditions: string[] = []
  if (source !== undefined) conditions.push(word('-s', source))
  if (destination !== undefined) conditions.push(word('-d', destination))
  if (inInterface !== undefined) conditions.push(word('-i', inInterface))
  if (outInterface !== undefined) conditions.push(word('-o', outInterface))
  if (protocol !== undefined) conditions.push(word('-p', protocol))
  return conditions
}

function word(flag: string, { value, not }: Negatable<string>): string {
  return not === true ? `! ${flag} ${value}` : `${flag} ${value}`
}

function portWord(flag: string, { value: { from, to }, not }: Negatable<PortRange>): string {
  return word(flag, { value: from === to ? String(from) : `${from}:${to}`, ...(not && { not }) })
}

function condition(match: Match, { family, mark }: EffectContext): readonly string[] {
  switch (match.kind) {
    case 'comment':
    case 'nfacct':
    case 'statistic':
    case 'recent':
      return []
    case 'ports': {
      const { source, destination } = match
      return [
        ...(source ? [portWord('--sport', source)] : []),
        ...(destination ? [portWord('--dport', destination)] : []),
      ]
    }
    case 'mark':
      if (isMark(match.mark.value, mark))
        return [match.mark.not === true ? 'not to be masqueraded' : 'to be masqueraded']
      return [printRule({ matches: [match] }, family)]
    case 'addrtype':
    case 'conntrack':
    case 'set':
    case 'ipvs':
    case 'physdev':
    case 'unknown':
      return [printRule({ matches: [match] }, family)]
    default:
      return match satisfies never
  }
}

function isMark({ value, mask }: MarkBits, mark: number | undefined): boolean {
  return mark !== undefined && value === mark && mask === mark
}

const ROLES: readonly (readonly [string, string])[] = [
  ['KUBE-SVC-', 'goes to any endpoint'],
  ['KUBE-SVL-', 'goes to an endpoint of this node'],
  ['KUBE-EXT-', 'is handled as traffic from outside'],
  ['KUBE-FW-', 'has to pass the source ranges'],
  ['KUBE-SEP-', 'goes to an endpoint'],
]

function describeTarget(target: Target, { family, mark }: EffectContext): string {
  if (target.kind === 'jump' || target.kind === 'goto') {
    if (target.chain === 'KUBE-MARK-MASQ') return MASQUERADED
    return ROLES.find(([prefix]) => target.chain.startsWith(prefix))?.[1] ?? `${target.kind} ${target.chain}`
  }
  switch (target.kind) {
    case 'mark': {
      const { value, mask } = target.xmark
      if (mark !== undefined && value === mark && mask === mark) return MASQUERADED
      // kube-proxy flips the bit where it is known to be set, others clear it.
      if (mark !== undefined && ((value === mark && mask === 0) || (value === 0 && mask === mark))) {
        return 'is no longer to be masqueraded'
      }
      return printRule({ matches: [], target }, family)
    }
    case 'drop':
      return 'is dropped'
    case 'reject':
      return `is rejected${/^icmp6?-port-unreachable$/.test(target.with) ? '' : ` with ${target.with}`}`
    case 'accept':
      return 'is accepted'
    case 'return':
      return 'returns'
    case 'dnat':
      return `goes to ${target.to}`
    case 'masquerade':
      return target.randomFully ? 'gets the node as its source, from a random port' : 'gets the node as its source'
    case 'unknown':
      return printRule({ matches: [], target }, family)
    default:
      return target satisfies never
  }
}

export const MASQUERADED = 'is masqueraded'
