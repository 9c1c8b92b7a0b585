// What `--cleanup` removes of rules: all that kube-proxy or sluice left in iptables and nftables, and nothing else. KUBE-FIREWALL
// and its jumps stay, because the kubelet of older versions uses them too, and so do the kubelet's own chains and whatever
// we do not know. Computed from the kernel's own text, so the rules to delete are named exactly as they stand there.
import {
  IPVS_FILTER,
  IPVS_LOAD_BALANCER,
  IPVS_NODE_PORT,
  IPVS_OUT_FILTER,
  IPVS_SOURCE_RANGES,
} from '../iptables/ipvs-chains.ts'
import { isServiceChain } from '../iptables/names.ts'
import { parseSave } from '../iptables/parse.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import { type ChainName, jumpTarget, type Rule, type Table, type TableName } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'

/** What is to be done in one table of one family. */
export interface TableCleanUp {
  readonly family: Family
  readonly table: TableName
  /** For `iptables-restore -w 5 -T TABLE --noflush --counters`, or its IPv6 twin. */
  readonly payload: string
  /** Jumps from base chains that are deleted, as iptables-save lines. */
  readonly jumps: readonly string[]
  readonly chains: readonly ChainName[]
  /**
   * Chains of ours that strangers' rules refer to, with these rules: the chains are emptied and stay, for the kernel refuses
   * to delete them.
   */
  readonly kept: readonly { readonly chain: ChainName; readonly usedBy: readonly string[] }[]
}

/** The fixed chains that are removed; in nat also those of Services. */
const OURS: Readonly<Record<string, readonly ChainName[]>> = {
  nat: [
    'KUBE-SERVICES',
    'KUBE-NODEPORTS',
    'KUBE-POSTROUTING',
    'KUBE-MARK-MASQ',
    'KUBE-PROXY-CANARY',
    IPVS_NODE_PORT,
    IPVS_LOAD_BALANCER,
  ],
  filter: [
    'KUBE-SERVICES',
    'KUBE-EXTERNAL-SERVICES',
    'KUBE-FORWARD',
    'KUBE-NODEPORTS',
    'KUBE-PROXY-FIREWALL',
    'KUBE-PROXY-CANARY',
    IPVS_NODE_PORT,
    IPVS_SOURCE_RANGES,
    IPVS_FILTER,
    IPVS_OUT_FILTER,
  ],
  mangle: ['KUBE-PROXY-CANARY'],
}
/** Above this many chains iptables-nft-restore reads the table at once if the first line is a command without a chain. */
const MANY_CHAINS = 100

/**
 * What to restore, table by table, nat first; tables in which nothing is left over do not appear. `save` is the output of
 * iptables-save or ip6tables-save, with counters or without; with both iptables variants on a host, ask for each.
 */
export function planCleanUp(save: string, family: Family): readonly TableCleanUp[] {
  const { tables } = parseSave(save, family).ruleset
  return Object.keys(OURS).flatMap((name) => {
    const table = tables.get(name)
    const plan = table && planTable(name, table, family)
    return plan === undefined ? [] : [plan]
  })
}

/** `nft` command lines that remove the tables of nftables mode. `listing` is what `nft list tables` prints. */
export function planNftablesCleanUp(listing: string): readonly (readonly [string, ...string[]])[] {
  const there = new Set(listing.split('\n').map((line) => line.trim()))
  return ['ip', 'ip6']
    .filter((family) => there.has(`table ${family} kube-proxy`))
    .map((family) => ['nft', 'delete', 'table', family, 'kube-proxy'] as const)
}

/** Lines for people: what was found, and what somebody has to look at. */
export function describeCleanUp(plan: readonly TableCleanUp[]): readonly string[] {
  return plan.flatMap(({ family, table, jumps, chains, kept }) => [
    `${family} ${table}: ${count(chains.length, 'chain')} and ${count(jumps.length, 'jump')} removed`,
    ...kept.flatMap(({ chain, usedBy }) =>
      usedBy.map(
        (line) => `${family} ${table}: ${chain} is emptied and stays, because "${line}" uses it: remove that rule`,
      ),
    ),
  ])
}

function planTable(name: TableName, table: Table, family: Family): TableCleanUp | undefined {
  const ours = new Set((OURS[name] ?? []).filter((chain) => table.has(chain)))
  if (name === 'nat') for (const chain of table.keys()) if (isServiceChain(chain)) ours.add(chain)
  const jumps: string[] = []
  const strangers = new Map<ChainName, string[]>()
  for (const [from, { policy, rules }] of table) {
    if (ours.has(from)) continue
    for (const rule of rules) {
      const to = targetOf(rule)
      if (to === undefined || !ours.has(to)) continue
      const line = printRuleLine(`-A ${from}`, rule, family)
      if (policy !== undefined && isProxyJump(rule)) jumps.push(line)
      else strangers.set(to, [...(strangers.get(to) ?? []), line])
    }
  }
  if (ours.size === 0) return undefined
  const kept = [...strangers].map(([chain, usedBy]) => ({ chain, usedBy }))
  const chains = [...ours].filter((chain) => !strangers.has(chain))
  return { family, table: name, payload: printPayload(name, [...ours], jumps, chains), jumps, chains, kept }
}

function printPayload(
  table: TableName,
  emptied: readonly ChainName[],
  jumps: readonly string[],
  deleted: readonly ChainName[],
): string {
  const lines = [
    `*${table}`,
    ...(emptied.length > MANY_CHAINS ? ['-S'] : []),
    ...emptied.map((chain) => `:${chain} - [0:0]`),
    ...jumps.map((line) => line.replace('-A', '-D')),
    ...deleted.map((chain) => `-X ${chain}`),
    'COMMIT',
  ]
  return `${lines.join('\n')}\n`
}

/**
 * The jumps of kube-proxy, of any version: a comment of its own, at most the condition that the connection is new, in any
 * order. Anything else was written by somebody else.
 */
function isProxyJump(rule: Rule): boolean {
  const { source, destination, inInterface, outInterface, protocol, matches } = rule
  if (source ?? destination ?? inInterface ?? outInterface ?? protocol) return false
  const isProxyComment = (match: Rule['matches'][number]) =>
    match.kind === 'comment' && /^(?:kubernetes|kube-proxy) [a-z -]+$/.test(match.text)
  const isNew = (match: Rule['matches'][number]) =>
    match.kind === 'conntrack' && match.states.not === undefined && match.states.value.join() === 'NEW'
  return matches.some(isProxyComment) && matches.every((match) => isProxyComment(match) || isNew(match))
}

/** Also of a rule that could not be read: what follows `-j` or `-g` in its words. */
function targetOf(rule: Rule): ChainName | undefined {
  const target = jumpTarget(rule)
  if (target !== undefined) return target
  const words = [
    ...rule.matches.flatMap((match) => (match.kind === 'unknown' ? match.words : [])),
    ...(rule.target?.kind === 'unknown' ? rule.target.words : []),
  ]
  const flag = words.findLastIndex((word) => word === '-j' || word === '-g')
  return flag < 0 ? undefined : words[flag + 1]
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
