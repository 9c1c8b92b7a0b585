// A ruleset prepared for linting: what each rule does, who refers to which chain, whose a chain is, and which chains end
// a packet's way.
import { type EffectContext, type EffectRule, effectOf } from '../compare/effect-rule.ts'
import { isServiceChain } from '../iptables/names.ts'
import { printRule } from '../iptables/print-rule.ts'
import { type ChainName, jumpTarget, type Rule, type Ruleset, type Table, type TableName } from '../iptables/rule.ts'
import type { Finding } from './finding.ts'

export interface IndexedRule {
  readonly rule: Rule
  /** Found when it is asked for, destructuring included: most rules of hundreds of thousands are judged without it. */
  readonly effect: EffectRule
  /** The chain that it hands packets to. */
  readonly chain: ChainName | undefined
  /** From 1. */
  readonly number: number
  /** `ns1/svc1:p80` of its comment. */
  readonly portName: string | undefined
}

export interface IndexedTable {
  readonly name: TableName
  readonly chains: Table
  /** None for a chain that is not there. Those of a Service's chain are made anew: all of them would fill the memory. */
  readonly rulesOf: (chain: ChainName) => readonly IndexedRule[]
  /** The chains that rules jump to. */
  readonly referred: ReadonlySet<ChainName>
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
    tables: [...tables].map(([name, chains]) => {
      const rulesOf = createRuleReader(chains, context)
      return {
        name,
        chains,
        rulesOf,
        referred: findReferred(chains),
        owners: findOwners(chains),
        ends: createEndFinder(rulesOf),
      }
    }),
  }
}

function createRuleReader(chains: Table, context: EffectContext): IndexedTable['rulesOf'] {
  const shared = new Map<ChainName, readonly IndexedRule[]>()
  return (chain) => {
    const known = shared.get(chain)
    if (known !== undefined) return known
    const rules = (chains.get(chain)?.rules ?? []).map((rule, at) => new Indexed(rule, at, context))
    if (!isServiceChain(chain)) shared.set(chain, rules)
    return rules
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

/** A class, since of an object with a getter of its own each would have a function more. */
class Indexed implements IndexedRule {
  readonly rule: Rule
  readonly number: number
  readonly chain: ChainName | undefined
  readonly portName: string | undefined
  readonly #context: EffectContext
  #effect: EffectRule | undefined

  constructor(rule: Rule, at: number, context: EffectContext) {
    this.rule = rule
    this.number = at + 1
    this.chain = jumpTarget(rule)
    this.portName = portNameOf(rule)
    this.#context = context
  }

  get effect(): EffectRule {
    this.#effect ??= effectOf(this.rule, this.#context)
    return this.#effect
  }
}

function portNameOf(rule: Rule | undefined): string | undefined {
  const comment = rule?.matches.find((match) => match.kind === 'comment')?.text
  return comment === undefined ? undefined : PORT_NAME.exec(comment)?.[1]
}

const PORT_NAME = /(?:^| )([a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9.-]*(?::[a-z0-9-]+)?)(?= |$)/

function findReferred(chains: Table): ReadonlySet<ChainName> {
  const referred = new Set<ChainName>()
  for (const { rules } of chains.values()) {
    for (const rule of rules) {
      const target = jumpTarget(rule)
      if (target !== undefined) referred.add(target)
    }
  }
  return referred
}

function findOwners(chains: Table): ReadonlyMap<ChainName, string> {
  const owners = new Map<ChainName, string>()
  const open: ChainName[] = []
  const claim = (chain: ChainName | undefined, owner: string | undefined) => {
    if (chain === undefined || owner === undefined || owners.has(chain) || !isServiceChain(chain)) return
    owners.set(chain, owner)
    open.push(chain)
  }
  const follow = () => {
    for (let chain = open.pop(); chain !== undefined; chain = open.pop()) {
      for (const rule of chains.get(chain)?.rules ?? []) claim(jumpTarget(rule), owners.get(chain))
    }
  }
  for (const [chain, { rules }] of chains) {
    if (!isServiceChain(chain)) for (const rule of rules) claim(jumpTarget(rule), portNameOf(rule))
  }
  follow()
  for (const [chain, { rules }] of chains) {
    if (owners.has(chain)) continue
    claim(chain, portNameOf(rules.find((rule) => portNameOf(rule) !== undefined)))
  }
  follow()
  return owners
}

/** Targets of extensions that end a packet's way through the table. */
const ENDING_TARGETS: ReadonlySet<string> = new Set(['SNAT', 'REDIRECT', 'NETMAP', 'QUEUE', 'NFQUEUE', 'TPROXY'])

/** Whether a packet that the rule takes goes no further in the rule's chain. */
export function endsChain(indexed: IndexedRule, ends: IndexedTable['ends']): boolean {
  const { target } = indexed.rule
  if (target === undefined) return false
  if (target.kind === 'jump') return ends(target.chain, protocolOf(indexed))
  if (target.kind === 'unknown') return ENDING_TARGETS.has(target.words[1] ?? '')
  return target.kind !== 'mark'
}

/** What `-p` says, also where it is not understood; undefined without it and for a negated one. */
export function protocolOf(indexed: IndexedRule): string | undefined {
  const { protocol, matches } = indexed.rule
  // Words that are not understood may begin with it.
  if (!matches.some(({ kind }) => kind === 'unknown')) return protocol?.not === true ? undefined : protocol?.value
  return indexed.effect.conditions.find((text) => text.startsWith('-p '))?.slice('-p '.length)
}

/** Whether more than the rule's conditions decides: chance, memory, or a match that is not understood. */
export function isUncertain({ rule }: Pick<IndexedRule, 'rule'>): boolean {
  return rule.matches.some(({ kind }) => kind === 'statistic' || kind === 'recent' || kind === 'unknown')
}

function createEndFinder(rulesOf: IndexedTable['rulesOf']): IndexedTable['ends'] {
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
    for (const indexed of rulesOf(chain)) {
      const { target } = indexed.rule
      if (target === undefined) continue
      const always =
        !(isUncertain(indexed) && indexed.effect.remembers !== true) &&
        indexed.effect.conditions.every((text) => text === `-p ${protocol}`)
      if (!always) continue
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
