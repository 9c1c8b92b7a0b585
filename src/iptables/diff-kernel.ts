// What has to change so that the kernel, as iptables-save shows it, holds a Program. Own chains are compared as text,
// one ServicePort at a time, so that reading back costs about what printing costs, and no memory. The rules of change
// are those of diff.ts, for a kernel that others write to as well:
// 1. A chain that is right is not mentioned; of a shared chain only the lines that differ are.
// 2. In base chains, and in KUBE-FIREWALL, which the kubelet writes to, missing rules are inserted at the top, and
//    rules that are there stay where they are.
// 3. Chains of Services that are gone are deleted. One that somebody else's rule refers to cannot be: it is emptied.
import type { OwnedChain } from './chunk.ts'
import {
  compareFixedChain,
  deleteRetiredJumps,
  deleteStaleChains,
  insertMissingRules,
  type OpenTable,
} from './diff-kernel-chains.ts'
import { rivalOwners } from './diff-shared.ts'
import type { DriftFinding } from './drift-finding.ts'
import type { KernelChain, KernelText } from './kernel-text.ts'
import { createLazyChains } from './lazy-chains.ts'
import { FIREWALL } from './names.ts'
import { printRuleLine } from './print-rule.ts'
import { chunkOf, type Program } from './program.ts'
import type { RulesetChange, TableChange } from './restore.ts'
import type { ChainName, Rule, TableName } from './rule.ts'

export interface KernelDiff extends RulesetChange {
  /** Why; one for each chain that is not as it should be. */
  readonly findings: readonly DriftFinding[]
}

/** The change that makes the kernel hold the program, and what it repairs. */
export function diffKernel(program: Program, kernel: KernelText): KernelDiff {
  const findings: DriftFinding[] = []
  let found: ReadonlySet<string> | undefined
  const rivals = () => {
    found ??= rivalOwners(program)
    return found
  }
  const tables = new Map(TABLES.map((name) => [name, openTable(name, { program, kernel, findings, rivals })]))
  const entries = compareServices(program, tables)
  for (const { table: name, name: chain, rules } of program.static.chains) {
    const table = tables.get(name)
    if (table === undefined) continue
    // The kubelet has a rule of its own there, and kube-proxy does not empty the chain either when it needs no rule.
    if (chain === FIREWALL && table.kernel.has(chain)) insertMissingRules(table, chain, rules)
    else compareFixedChain(table, chain, [...(entries.get(`${name} ${chain}`) ?? []), ...rules])
  }
  for (const table of tables.values()) {
    for (const [chain, rules] of baseChainRules(program, table.name)) insertMissingRules(table, chain, rules)
    deleteRetiredJumps(table, program.retired?.jumps ?? [])
    deleteStaleChains(table)
  }
  const changed = [...tables].filter(([, { change }]) => !isEmptyTable(change))
  return { family: program.family, tables: new Map(changed.map(([name, { change }]) => [name, change])), findings }
}

/** In the order in which they are written. */
const TABLES: readonly TableName[] = ['mangle', 'filter', 'nat']

type Comparison = Pick<OpenTable, 'findings' | 'rivals'> & { readonly program: Program; readonly kernel: KernelText }

function openTable(name: TableName, { program, kernel, findings, rivals }: Comparison): OpenTable {
  return {
    name,
    family: program.family,
    kernel: kernel.tables.get(name) ?? new Map<ChainName, KernelChain>(),
    wanted: new Set(program.static.chains.filter((chain) => chain.table === name).map((chain) => chain.name)),
    wantedServiceChains: new Set(),
    retired: new Set(program.retired?.chains.filter((chain) => chain.table === name).map((chain) => chain.name)),
    retiredJumps: new Set(
      program.retired?.jumps
        .filter((jump) => jump.table === name)
        .map(({ chain, rule }) => printRuleLine(`-A ${chain}`, rule, program.family)),
    ),
    rivals,
    change: openChange(program),
    findings,
  }
}

function openChange(program: Program): OpenTable['change'] {
  const rewritten = createLazyChains(program)
  return { rewritten, edits: [], deleted: [], printed: rewritten.printed }
}

function isEmptyTable({ rewritten, edits, deleted }: TableChange): boolean {
  return rewritten.size + edits.length + deleted.length === 0
}

/** Compares own chains at once; the answer is the lines that ServicePorts want in shared chains, by table and chain. */
function compareServices(
  program: Program,
  tables: ReadonlyMap<TableName, OpenTable>,
): ReadonlyMap<string, readonly Rule[]> {
  const shared = new Map<string, Rule[]>()
  for (const servicePort of program.servicePorts) {
    const chunk = chunkOf(program, servicePort)
    for (const chain of chunk.chains) {
      const { table: tableName, name } = chain
      const table = tables.get(tableName)
      if (table === undefined) continue
      const present = table.kernel.get(name)
      if (present !== undefined) table.wantedServiceChains.add(present)
      const wanted = printChain(chain, program)
      if (present !== undefined && holds(present, wanted)) continue
      table.change.rewritten.addOwned(chain, servicePort, wanted)
      const kind = present === undefined ? 'missing chain' : 'changed rules'
      table.findings.push({ kind, table: tableName, chain: name, owner: chunk.owner })
    }
    for (const { table, chain, rule } of chunk.entries) {
      const key = `${table} ${chain}`
      const lines = shared.get(key)
      if (lines === undefined) shared.set(key, [rule])
      else lines.push(rule)
    }
  }
  return shared
}

function printChain({ name, rules }: OwnedChain, { family }: Program): string {
  const start = `-A ${name}`
  let lines = ''
  for (const rule of rules) lines += `${printRuleLine(start, rule, family)}\n`
  return lines
}

function holds(present: KernelChain, wanted: string): boolean {
  return wanted.length === present.end - present.start && present.text.startsWith(wanted, present.start)
}

/** In the order in which they stand when each was inserted at the top. */
function baseChainRules({ jumps }: Program, table: TableName): ReadonlyMap<ChainName, readonly Rule[]> {
  const rules = new Map<ChainName, Rule[]>()
  for (const { table: name, chain, rule } of jumps.toReversed()) {
    if (name === table) rules.set(chain, [...(rules.get(chain) ?? []), rule])
  }
  return rules
}
