// Whose a rule is: a Service's, one of the fixed ones of the proxy, or somebody else's. Rules say it in their comments;
// in large clusters those of endpoints have none, and then the chain that jumps to them tells.
import { linesOf } from '../iptables/kernel-text.ts'
import { isServiceChain } from '../iptables/names.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { RuleText, TableText } from './rule-text.ts'

export type Group =
  | { readonly kind: 'service'; readonly service: ObjectKey }
  /** Rules that every node has, and jumps to them. */
  | { readonly kind: 'fixed' }
  /** Chains named as those of a Service, and nothing tells of which. */
  | { readonly kind: 'unknown' }
  /** IPVS mode: an address or port of which nothing tells whose it is: `virtual IP 10.96.0.1`. */
  | { readonly kind: 'object'; readonly name: string }
  | { readonly kind: 'foreign' }

/** The kubelet's own, which no proxy touches. */
const KUBELET_CHAINS: ReadonlySet<ChainName> = new Set(['KUBE-KUBELET-CANARY', 'KUBE-IPTABLES-HINT', 'KUBE-MARK-DROP'])

/** Whether a Service proxy made the chain: its name is one of kube-proxy's. */
export function isProxyChain(chain: ChainName): boolean {
  return chain.startsWith('KUBE-') && !KUBELET_CHAINS.has(chain)
}

/** `ns1/svc1` of `ns1/svc1:p80`. */
export function serviceOfPortName(name: string): ObjectKey {
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(0, colon)
}

/** `ns1/svc1:p80` at the head of the comment of a rule's text. */
export function portNameInText(rule: string): string | undefined {
  const at = rule.indexOf('--comment ')
  if (at < 0) return undefined
  const start = rule.charCodeAt(at + 10) === 0x22 ? at + 11 : at + 10
  let end = start
  for (; end < rule.length; end += 1) {
    const code = rule.charCodeAt(end)
    if (code === 0x20 || code === 0x22) break
  }
  const head = rule.slice(start, end)
  return head.includes('/') && PORT_NAME.test(head) ? head : undefined
}

const PORT_NAME = /^[a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9.-]*(?::[a-z0-9-]+)?$/
const PORT_NAME_INSIDE =
  /--comment (?:"(?:[^"\\]*? )?)?([a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9.-]*(?::[a-z0-9-]+)?)(?=[ "]|$)/

/** Answers whose the private chains of one side are. */
export interface ChainOwners {
  /** Undefined when nothing tells. */
  readonly ownerOf: (table: TableName, chain: ChainName) => ObjectKey | undefined
}

/** Reads what it needs when it is asked first. */
export function createChainOwners({ tables }: RuleText): ChainOwners {
  const referrers = new Map<TableName, ReadonlyMap<ChainName, Referrer>>()
  let searched = 0
  const known = new Map<string, ObjectKey | undefined>()
  const referrerOf = (chain: ChainName, name: TableName, table: TableText) => {
    searched += 1
    const index = referrers.get(name)
    if (index === undefined && searched <= MOST_SEARCHES) return searchReferrer(chain, table)
    const found = index ?? indexReferrers(table)
    referrers.set(name, found)
    return found.get(chain)
  }
  const find = (tableName: TableName, chain: ChainName, seen: ReadonlySet<ChainName>): ObjectKey | undefined => {
    const place = `${tableName} ${chain}`
    if (known.has(place)) return known.get(place)
    const table = tables.get(tableName)
    const own = table?.get(chain)
    if (table === undefined || own === undefined) return undefined
    let owner = namedIn(linesOf(own))
    if (owner === undefined) {
      const by = referrerOf(chain, tableName, table)
      if (by?.name !== undefined) owner = serviceOfPortName(by.name)
      else if (by !== undefined && isServiceChain(by.chain) && !seen.has(by.chain)) {
        owner = find(tableName, by.chain, new Set([...seen, chain]))
      }
    }
    known.set(place, owner)
    return owner
  }
  return { ownerOf: (table, chain) => find(table, chain, new Set()) }
}

function namedIn(lines: string): ObjectKey | undefined {
  const name = PORT_NAME_INSIDE.exec(lines)?.[1]
  return name === undefined ? undefined : serviceOfPortName(name)
}

interface Referrer {
  readonly chain: ChainName
  /** The name of a Service's port in the comment of the rule that jumps. */
  readonly name?: string
}

/** Up to here, searching the text for each costs less than an index of all. */
const MOST_SEARCHES = 10

function searchReferrer(chain: ChainName, table: TableText): Referrer | undefined {
  let found: Referrer | undefined
  for (const text of new Set([...table.values()].map((part) => part.text))) {
    const end = `${chain}\n`
    for (let at = text.indexOf(end); at >= 0; at = text.indexOf(end, at + 1)) {
      const line = text.slice(text.lastIndexOf('\n', at) + 1, at + end.length - 1)
      const [, from = '', words = '', to = ''] = new RegExp(JUMP.source).exec(line) ?? []
      if (to !== chain) continue
      const name = isServiceChain(from) ? undefined : portNameInText(words)
      if (name !== undefined) return { chain: from, name }
      found ??= { chain: from }
    }
  }
  return found
}

const JUMP = /^-A (\S+) (.*)-[jg] (KUBE-(?:SVC|SVL|SEP|FW|EXT)-\S+)$/gm

/** Of several rules that jump to a chain the first counts, before others one that tells of a Service. */
function indexReferrers(table: TableText): ReadonlyMap<ChainName, Referrer> {
  const referrers = new Map<ChainName, Referrer>()
  for (const chain of table.values()) {
    if (chain.start === chain.end) continue
    for (const [, from = '', words = '', to = ''] of linesOf(chain).matchAll(JUMP)) {
      if (referrers.get(to)?.name !== undefined) continue
      const name = isServiceChain(from) ? undefined : portNameInText(words)
      if (name !== undefined) referrers.set(to, { chain: from, name })
      else if (!referrers.has(to)) referrers.set(to, { chain: from })
    }
  }
  return referrers
}
