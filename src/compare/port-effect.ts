// What a side does for one port of a Service, gathered from its rules: which addresses go where, what happens on the
// way, and which endpoint gets which share.
import { isServiceChain } from '../iptables/names.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import { formatEndpoint, type Ip } from '../model/address.ts'
import {
  type EffectContext,
  type EffectRule,
  findMasqueradeMark,
  MASQUERADED,
  printEffect,
  readEffect,
  readEffects,
} from './effect-rule.ts'
import { isProxyChain, portNameInText, serviceOfPortName } from './owners.ts'
import { type RuleText, rulesIn, type TableText } from './rule-text.ts'

export interface PortEffect {
  /** `ns1/svc1:p80`, with the protocol behind it when that is not TCP. */
  readonly name: string
  /** What is said of each subject: `10.96.0.1:80` -> `goes to any endpoint`. */
  readonly facts: ReadonlyMap<string, string>
  /** Of policy Cluster and Local; the shares add up to 1 unless something is wrong. Absent without such a chain. */
  readonly cluster?: Shares
  readonly local?: Shares
}

/** By endpoint, `10.0.0.1:80`; 0 to 1. */
export type Shares = ReadonlyMap<string, number>

export interface SideEffects {
  readonly context: EffectContext
  /** By name; none for a Service without rules. */
  readonly portsOf: (service: string) => ReadonlyMap<string, PortEffect>
}

/** Reads shared chains when it is asked first, and of private chains only those asked for. */
export function createSideEffects(side: RuleText): SideEffects {
  const { family, tables } = side
  const mark = findMasqueradeMark(rulesIn(tables.get('nat'), 'KUBE-MARK-MASQ'), family)
  const context: EffectContext = { family, ...(mark !== undefined && { mark }) }
  let lines: ReadonlyMap<string, readonly SharedLine[]> | undefined
  return {
    context,
    portsOf: (service) => {
      lines ??= indexSharedLines(side)
      const ports = new Map<string, SharedLine[]>()
      for (const line of lines.get(service) ?? []) {
        const protocol = /(?:^| )-p (\S+)/.exec(line.rule)?.[1] ?? ''
        // A health check is TCP, whatever the port that it is about.
        const name = protocol === 'tcp' || protocol === '' ? line.name : `${line.name} ${protocol}`
        ports.set(name, [...(ports.get(name) ?? []), line])
      }
      return new Map([...ports].map(([name, own]) => [name, readPort(name, own, tables.get('nat'), context)]))
    },
  }
}

interface SharedLine {
  readonly table: TableName
  readonly chain: ChainName
  readonly name: string
  readonly rule: string
}

function indexSharedLines({ tables }: RuleText): ReadonlyMap<string, readonly SharedLine[]> {
  const services = new Map<string, SharedLine[]>()
  for (const [table, chains] of tables) {
    for (const chain of chains.keys()) {
      if (isServiceChain(chain) || !isProxyChain(chain)) continue
      for (const rule of rulesIn(chains, chain)) {
        const name = portNameInText(rule)
        if (name === undefined) continue
        const service = serviceOfPortName(name)
        const known = services.get(service)
        if (known === undefined) services.set(service, [{ table, chain, name, rule }])
        else known.push({ table, chain, name, rule })
      }
    }
  }
  return services
}

interface Gathered {
  readonly facts: Map<string, string>
  readonly nat: TableText | undefined
  readonly context: EffectContext
  readonly shares: { cluster?: Shares; local?: Shares }
}

function readPort(
  name: string,
  lines: readonly SharedLine[],
  nat: TableText | undefined,
  context: EffectContext,
): PortEffect {
  const gathered: Gathered = { facts: new Map(), nat, context, shares: {} }
  const open: ChainName[] = []
  const shared = new Map<string, SharedLine[]>()
  for (const line of lines) {
    const place = `${line.table} ${line.chain}`
    shared.set(place, [...(shared.get(place) ?? []), line])
  }
  for (const [place, own] of shared) {
    for (const effect of readEffects(
      own.map(({ rule }) => rule),
      context,
    )) {
      addFact(gathered.facts, subjectOf(place, effect), effect.action ?? 'nothing')
      if (effect.chain !== undefined) open.push(effect.chain)
    }
  }
  const seen = new Set<ChainName>()
  for (let chain = open.pop(); chain !== undefined; chain = open.pop()) {
    if (seen.has(chain) || !isServiceChain(chain)) continue
    seen.add(chain)
    open.push(...readPrivateChain(chain, gathered))
  }
  return { name, facts: gathered.facts, ...gathered.shares }
}

/** What a rule of a shared chain is about, as people call it. */
function subjectOf(place: string, { address, port, conditions }: EffectRule): string {
  const drop = (pattern: RegExp) => conditions.filter((text) => !pattern.test(text))
  const behind = (rest: readonly string[]) => (rest.length === 0 ? '' : ` (${rest.join(' ')})`)
  const where = place.startsWith('nat ')
    ? ''
    : place === 'filter KUBE-PROXY-FIREWALL'
      ? ', not let in,'
      : ' in the filter'
  if (port === undefined) return `${place}${behind(conditions)}`
  if (address !== undefined) {
    return `${formatEndpoint(address as Ip, port)}${behind(drop(/^-d |^-p |^--dport /))}${where}`
  }
  const isHealthCheck = place === 'filter KUBE-NODEPORTS'
  const rest = drop(/^-p |^--dport |^-m addrtype --dst-type LOCAL$/)
  return `${isHealthCheck ? 'health check node port' : 'node port'} ${port}${behind(rest)}${isHealthCheck ? '' : where}`
}

/** Of several facts of one subject all stand, in their order. */
function addFact(facts: Map<string, string>, subject: string, fact: string): void {
  const known = facts.get(subject)
  facts.set(subject, known === undefined ? fact : `${known}, then ${fact}`)
}

/** Returns the private chains that this one leads to. */
function readPrivateChain(chain: ChainName, gathered: Gathered): readonly ChainName[] {
  const { facts, nat, context } = gathered
  const prefix = chain.slice(0, chain.indexOf('-', 'KUBE-'.length) + 1)
  if (nat?.has(chain) !== true) {
    facts.set(`chain ${chain}`, 'is missing')
    return []
  }
  const rules = readEffects(rulesIn(nat, chain), context)
  const led = rules.flatMap((rule) => (rule.chain === undefined ? [] : [rule.chain]))
  if (prefix === 'KUBE-SVC-' || prefix === 'KUBE-SVL-') {
    const over = prefix === 'KUBE-SVC-' ? 'cluster' : 'local'
    gathered.shares[over] = readBalance(rules, over, gathered)
    // The chains of endpoints are read there.
    return led.filter((name) => !name.startsWith('KUBE-SEP-'))
  }
  const subject = prefix === 'KUBE-FW-' ? 'source ranges' : 'traffic from outside'
  facts.set(subject, prefix === 'KUBE-FW-' ? describeRanges(rules) : rules.map(printEffect).join(', then '))
  return led
}

function describeRanges(rules: readonly EffectRule[]): string {
  const plain = rules.every(({ conditions }) => conditions.length === 1 && conditions[0]?.startsWith('-s ') === true)
  if (!plain) return rules.map(printEffect).join(', then ')
  return `let in ${rules
    .map(({ conditions }) => conditions[0]?.slice('-s '.length) ?? '')
    .toSorted(compareTexts)
    .join(', ')}`
}

/** The shares that a balancing chain gives; what is not part of the choice becomes facts. */
function readBalance(rules: readonly EffectRule[], over: 'cluster' | 'local', gathered: Gathered): Shares {
  const { facts } = gathered
  const shares = new Map<string, number>()
  const remembered = new Map<string, number>()
  const before: EffectRule[] = []
  let left = 1
  for (const rule of rules) {
    if (rule.chain?.startsWith('KUBE-SEP-') !== true || rule.conditions.length > 0) {
      before.push(rule)
      continue
    }
    if (rule.rememberedSeconds !== undefined) {
      remembered.set(readEndpoint(rule.chain, gathered), rule.rememberedSeconds)
      continue
    }
    const chance = rule.chance ?? 1
    const endpoint = readEndpoint(rule.chain, gathered)
    shares.set(endpoint, (shares.get(endpoint) ?? 0) + left * chance)
    left *= 1 - chance
  }
  if (left > 1e-6 && shares.size > 0)
    facts.set('part of the traffic', `goes to no endpoint: ${(left * 100).toFixed(2)}%`)
  if (remembered.size > 0)
    facts.set(`session affinity${over === 'local' ? ' on this node' : ''}`, describeAffinity(remembered, shares))
  for (const rule of before) addFact(facts, ...onTheWay(rule, over))
  return shares
}

function describeAffinity(remembered: ReadonlyMap<string, number>, shares: Shares): string {
  const times = [...new Set(remembered.values())].join(' or ')
  const others = [...shares.keys()].filter((endpoint) => !remembered.has(endpoint))
  return `keeps a client at its endpoint for ${times} s${others.length === 0 ? '' : `, unless that is ${others.join(', ')}`}`
}

/** What is said of a rule that comes before the choice: mostly that traffic to the cluster IP is masqueraded. */
function onTheWay(rule: EffectRule, over: 'cluster' | 'local'): readonly [string, string] {
  const { address, port, conditions, action } = rule
  if (action !== MASQUERADED || address === undefined || port === undefined) {
    return [
      `traffic on its way to ${over === 'cluster' ? 'any endpoint' : 'endpoints of this node'}`,
      printEffect(rule),
    ]
  }
  const rest = conditions.filter((text) => !/^-d |^-p |^--dport /.test(text))
  const [only = ''] = rest
  const except = /^! -[si] (\S+)$/.exec(only)?.[1]
  const limit =
    rest.length === 0
      ? ''
      : except === undefined || rest.length > 1
        ? ` if ${rest.join(' ')}`
        : ` unless it is from ${except}`
  return [`traffic to ${formatEndpoint(address as Ip, port)}`, `${MASQUERADED}${limit}`]
}

const COMMENT = String.raw`(?: -m comment --comment (?:"[^"]*"|\S+))?`
const HAIRPIN = new RegExp(String.raw`^-s ([^ /]+)/(?:32|128)${COMMENT} -j KUBE-MARK-MASQ$`)
const TRANSLATION = new RegExp(String.raw`^-p \S+${COMMENT}(?: -m \w+)? -j DNAT --to-destination (\S+)$`)

/** The address of an endpoint whose chain is as it mostly is: most rules are of these, and parsing takes its time. */
function readPlainEndpoint([first = '', second = '', ...more]: readonly string[]): string | undefined {
  const ip = HAIRPIN.exec(first)?.[1]
  const endpoint = TRANSLATION.exec(second)?.[1]
  if (ip === undefined || endpoint === undefined || more.length > 0) return undefined
  return endpoint.startsWith(`${ip}:`) || endpoint.startsWith(`[${ip}]:`) ? endpoint : undefined
}

/** The address that an endpoint's chain rewrites to. */
function readEndpoint(chain: ChainName, { nat, context, facts }: Gathered): string {
  const texts = rulesIn(nat, chain)
  const plain = readPlainEndpoint(texts)
  if (plain !== undefined) return plain
  const rules = texts.map((text) => readEffect(text, context))
  const [endpoint = `nowhere (${chain})`] = rules.flatMap((rule) => rule.endpoint ?? [])
  const ip = endpoint.slice(0, endpoint.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  const [hairpin, translate] = rules
  const usual =
    rules.length === 2 &&
    hairpin?.action === MASQUERADED &&
    hairpin.conditions.length === 1 &&
    [`-s ${ip}/32`, `-s ${ip}/128`].includes(hairpin.conditions[0] ?? '') &&
    translate?.endpoint === endpoint &&
    translate.conditions.length === 1 &&
    translate.conditions[0]?.startsWith('-p ') === true
  if (!usual) facts.set(`endpoint ${endpoint}`, rules.map(printEffect).join(', then ') || 'has no rules')
  return endpoint
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
