// A large change in small steps, for when the whole never gets through. Every step but the last may be done again
// without harm, so one that was ended half-way need not be followed by a look at the kernel:
// 1. Chains, from the bottom up: what a rule jumps to is there when it comes. Nothing leads to new ones yet.
// 2. Chains that all Services share, each as a whole: single lines would need to be counted, and count only once.
// 3. Chains that nothing leads to any more.
// 4. Rules inserted in chains that are not ours alone. Doing that twice would double them.
import { isServiceChain } from './names.ts'
import { chunkOf, type Program } from './program.ts'
import type { RulesetChange, TableChange } from './restore.ts'
import type { ChainName, Rule, TableName } from './rule.ts'

export interface ChangeStep {
  /** Made when it is asked for: the rules of all steps together would take much memory. */
  readonly change: () => RulesetChange
  readonly repeatable: boolean
}

/** Steps of at most `chains` chains, in order; `program` is what the change leads to. */
export function splitChange(change: RulesetChange, program: Program, chains: number): readonly ChangeStep[] {
  const shared = sharedRules(program)
  const steps: Record<'fixed' | 'private' | 'shared' | 'stale' | 'base', ChangeStep[]> = {
    fixed: [],
    private: [],
    shared: [],
    stale: [],
    base: [],
  }
  for (const [table, { rewritten, edits, deleted }] of change.tables) {
    const step = (part: () => Partial<TableChange>, repeatable = true): ChangeStep => ({
      change: () => ({ family: change.family, tables: new Map([[table, { ...NOTHING, ...part() }]]) }),
      repeatable,
    })
    const named = [...rewritten.keys()]
    const isShared = (chain: ChainName) => shared.has(`${table} ${chain}`)
    const fixed = named.filter((chain) => !isServiceChain(chain) && !isShared(chain))
    if (fixed.length > 0) steps.fixed.push(step(() => ({ rewritten: pick(rewritten, fixed) })))
    for (const part of splitInto(named.filter(isServiceChain).toSorted(fromTheTop).toReversed(), chains)) {
      steps.private.push(step(() => ({ rewritten: pick(rewritten, part) })))
    }
    const edited = edits.map((edit) => edit.chain).filter(isShared)
    // nat KUBE-SERVICES ends with a jump to KUBE-NODEPORTS.
    for (const chain of [...new Set([...named.filter(isShared), ...edited])].toSorted()) {
      steps.shared.push(step(() => ({ rewritten: new Map([[chain, shared.get(`${table} ${chain}`) ?? []]]) })))
    }
    for (const part of splitInto(deleted.toSorted(fromTheTop), chains))
      steps.stale.push(step(() => ({ deleted: part })))
    const others = edits.filter((edit) => !isShared(edit.chain))
    if (others.length > 0) steps.base.push(step(() => ({ edits: others }), false))
  }
  return [...steps.fixed, ...steps.private, ...steps.shared, ...steps.stale, ...steps.base]
}

/** The same in two halves; undefined when it is too small for that. */
export function halveStep({ change, repeatable }: ChangeStep): readonly [ChangeStep, ChangeStep] | undefined {
  const { family, tables } = change()
  const [entry] = tables
  if (entry === undefined || !repeatable) return undefined
  const [table, { rewritten, deleted }] = entry
  if (rewritten.size + deleted.length < 2) return undefined
  const names = [...rewritten.keys()]
  const middle = { rewritten: Math.ceil(names.length / 2), deleted: Math.ceil(deleted.length / 2) }
  const half = (chains: readonly ChainName[], gone: readonly ChainName[]): ChangeStep => ({
    repeatable,
    change: () => ({
      family,
      tables: new Map([[table, { ...NOTHING, rewritten: pick(rewritten, chains), deleted: gone }]]),
    }),
  })
  return [
    half(names.slice(0, middle.rewritten), deleted.slice(0, middle.deleted)),
    half(names.slice(middle.rewritten), deleted.slice(middle.deleted)),
  ]
}

const NOTHING: TableChange = { rewritten: new Map(), edits: [], deleted: [] }

/** By table and chain, the rules of the chains that ServicePorts have lines in. */
function sharedRules(program: Program): ReadonlyMap<string, readonly Rule[]> {
  const shared = new Map<string, Rule[]>()
  const rulesOf = (table: TableName, chain: ChainName) => {
    const key = `${table} ${chain}`
    const known = shared.get(key) ?? []
    shared.set(key, known)
    return known
  }
  for (const servicePort of program.servicePorts) {
    for (const { table, chain, rule } of chunkOf(program, servicePort).entries) rulesOf(table, chain).push(rule)
  }
  for (const { table, name, rules } of program.static.chains) {
    if (SHARED.has(`${table} ${name}`)) rulesOf(table, name).push(...rules)
  }
  return shared
}

/** KUBE-FIREWALL is not among them: others have rules there. */
const SHARED: ReadonlySet<string> = new Set([
  'filter KUBE-SERVICES',
  'filter KUBE-EXTERNAL-SERVICES',
  'filter KUBE-NODEPORTS',
  'filter KUBE-PROXY-FIREWALL',
  'nat KUBE-SERVICES',
  'nat KUBE-NODEPORTS',
])

/** A chain jumps only to those of kinds that come later. */
const FROM_THE_TOP = ['KUBE-FW-', 'KUBE-EXT-', 'KUBE-SVC-', 'KUBE-SVL-', 'KUBE-SEP-']

function fromTheTop(a: ChainName, b: ChainName): number {
  return rank(a) - rank(b)
}

function rank(chain: ChainName): number {
  return FROM_THE_TOP.findIndex((prefix) => chain.startsWith(prefix))
}

function pick(
  chains: ReadonlyMap<ChainName, readonly Rule[]>,
  names: readonly ChainName[],
): ReadonlyMap<ChainName, readonly Rule[]> {
  return new Map(names.map((name) => [name, chains.get(name) ?? []]))
}

function splitInto<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
