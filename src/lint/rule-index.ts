// A ruleset prepared for linting: what each rule does, who refers to which chain, whose a chain is, and which chains end
// a packet's way.
import { type EffectContext, type EffectRule, effectOf } from '../compare/effect-rule.ts'
import { isServiceChain } from '../iptables/names.ts'
import { printRule } from '../iptables/print-rule.ts'
import type { ChainName, Rule, Ruleset, TableName } from '../iptables/rule.ts'
import type { Finding } from './finding.ts'

export interface IndexedRule {
  readonly rule: Rule
  readonly effect: EffectRule
  /** From 1. */
  readonly number: number
  /** `ns1/svc1:p80` of its comment. */
  readonly portName?: string
}

export interface IndexedTable {
  readonly name: TableName
  readonly chains: ReadonlyMap<ChainName, readonly IndexedRule[]>
  /** The rules that jump to a chain, by chain. */
  readonly referrers: ReadonlyMap<ChainName, readonly { readonly chain: ChainName; readonly number: number }[]>
  /** `ns1/svc1:p80` of a private chain, as far as rules tell. */
  readonly owners: ReadonlyMap<ChainName, string>
  /** Whether a packet of the protocol never comes back from the chain; without a protocol: of any. */
  readonly ends: (chain: ChainName, protocol: string | undefined) => boolean
}

export interface RuleIndex {
  readonly family: Ruleset['family']
  readonly tables: readonly IndexedTable[]
}

/** Several checks look at one ruleset, which may have hundreds of thousands of rules. */
const indexes = new WeakMap<Ruleset, RuleIndex>()

export function indexRules(ruleset: Ruleset): RuleIndex {
  const known = indexes.get(ruleset) ?? makeIndex(ruleset)
  indexes.set(ruleset, known)
  return known
}

function makeIndex({ family, tables }: Ruleset): RuleIndex {
  const markRule = tables.get('nat')?.get('KUBE-MARK-MASQ')?.rules[0]?.target
  const mark = markRule?.kind === 'mark' ? markRule.xmark.value : undefined
  const context: EffectContext = { family, ...(mark !== undefined && { mark }) }
  return {
    family,
    tables: [...tables].map(([name, table]) => {
      const chains = new Map(
        [...table].map(([chain, { rules }]) => [chain, rules.map((rule, at) => indexRule(rule, at, context))] as const),
      )
      return {
        name,
        chains,
        referrers: findReferrers(chains),
        owners: findOwners(chains),
        ends: createEndFinder(chains),
      }
    }),
  }
}

/** The place of a rule, for a finding. */
export function placeOf(
  { family }: RuleIndex,
  table: IndexedTable,
  chain: ChainName,
  { rule, number }: IndexedRule,
): Pick<Finding, 'family' | 'table' | 'chain' | 'rule' | 'text'> {
  return { family, table: table.name, chain, rule: number, text: printRule(rule, family) }
}

function indexRule(rule: Rule, at: number, context: EffectContext): IndexedRule {
  const comment = rule.matches.find((match) => match.kind === 'comment')?.text
  const portName = comment === undefined ? undefined : PORT_NAME.exec(comment)?.[1]
  return { rule, effect: effectOf(rule, context), number: at + 1, ...(portName !== undefined && { portName }) }
}

const PORT_NAME = /(?:^| )([a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9.-]*(?::[a-z0-9-]+)?)(?= |$)/

function findReferrers(chains: IndexedTable['chains']): IndexedTable['referrers'] {
  const referrers = new Map<ChainName, { chain: ChainName; number: number }[]>()
  for (const [chain, rules] of chains) {
    for (const { effect, number } of rules) {
      if (effect.chain === undefined) continue
      const known = referrers.get(effect.chain)
      if (known === undefined) referrers.set(effect.chain, [{ chain, number }])
      else known.push({ chain, number })
    }
  }
  return referrers
}

function findOwners(chains: IndexedTable['chains']): ReadonlyMap<ChainName, string> {
  const owners = new Map<ChainName, string>()
  const open: ChainName[] = []
  const claim = (chain: ChainName | undefined, owner: string | undefined) => {
    if (chain === undefined || owner === undefined || owners.has(chain) || !isServiceChain(chain)) return
    owners.set(chain, owner)
    open.push(chain)
  }
  const follow = () => {
    for (let chain = open.pop(); chain !== undefined; chain = open.pop()) {
      for (const { effect } of chains.get(chain) ?? []) claim(effect.chain, owners.get(chain))
    }
  }
  for (const [chain, rules] of chains) {
    if (!isServiceChain(chain)) for (const { effect, portName } of rules) claim(effect.chain, portName)
  }
  follow()
  for (const [chain, rules] of chains) claim(chain, rules.find((rule) => rule.portName !== undefined)?.portName)
  follow()
  return owners
}

/** Targets of extensions that end a packet's way through the table. */
const ENDING_TARGETS: ReadonlySet<string> = new Set(['SNAT', 'REDIRECT', 'NETMAP', 'QUEUE', 'NFQUEUE', 'TPROXY'])

/** Whether a packet that the rule takes goes no further in the rule's chain. */
export function endsChain({ rule, effect }: IndexedRule, ends: IndexedTable['ends']): boolean {
  const { target } = rule
  if (target === undefined) return false
  if (target.kind === 'jump') return ends(target.chain, protocolOf(effect))
  if (target.kind === 'unknown') return ENDING_TARGETS.has(target.words[1] ?? '')
  return target.kind !== 'mark'
}

export function protocolOf({ conditions }: EffectRule): string | undefined {
  return conditions.find((text) => text.startsWith('-p '))?.slice('-p '.length)
}

/** Whether more than the rule's conditions decides: chance, memory, or a match that is not understood. */
export function isUncertain({ rule, effect }: IndexedRule): boolean {
  if (effect.chance !== undefined || effect.rememberedSeconds !== undefined || effect.remembers === true) return true
  return rule.matches.some((match) => match.kind === 'unknown')
}

function createEndFinder(chains: IndexedTable['chains']): IndexedTable['ends'] {
  const known = new Map<string, boolean>()
  const ends = (chain: ChainName, protocol: string | undefined): boolean => {
    const key = `${protocol ?? ''} ${chain}`
    const before = known.get(key)
    if (before !== undefined) return before
    // A chain that leads to itself does not end anything by that.
    known.set(key, false)
    const result = decide(chain, protocol)
    known.set(key, result)
    return result
  }
  const decide = (chain: ChainName, protocol: string | undefined): boolean => {
    for (const indexed of chains.get(chain) ?? []) {
      const { target } = indexed.rule
      const always =
        !(isUncertain(indexed) && indexed.effect.remembers !== true) &&
        indexed.effect.conditions.every((text) => text === `-p ${protocol}`)
      if (!always || target === undefined) continue
      if (target.kind === 'return') return false
      if (target.kind === 'jump' || target.kind === 'goto') {
        if (ends(target.chain, protocol)) return true
        if (target.kind === 'goto') return false
      } else if (endsChain(indexed, ends)) return true
    }
    return false
  }
  return ends
}
