// The look at the fixed chains, and what looks may cost; when to look is drift-look.ts's.
// The probe is one process that lists the canaries, the base chains and the small fixed chains: 3 to 7 ms with
// iptables-nft, whatever the number of Services (with 10,000 of them `nft list chains` takes 280 ms, listing
// KUBE-SERVICES 140 ms, iptables-save 1.5 s). iptables-legacy reads whole tables whatever it is asked, so it is not asked
// this: of a core, iptables-legacy-save takes 160 ms with 2,000 Services x 5 endpoints and 750 ms with 10,000, one that
// shows a single chain half of it, and the number of a table's entries 4 ms in both (table-sizes.ts).
import type { Hands } from '../host/hands.ts'
import type { DriftFinding } from '../iptables/drift-finding.ts'
import { CANARY, MARK_MASQ, POSTROUTING } from '../iptables/names.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import type { Program } from '../iptables/program.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import { isCommandError, readRestoreFailure } from './restore-failure.ts'
import { type IptablesVariant, toolsOf } from './variant.ts'

const PROBE_TIMEOUT_MS = 30_000

/** What is missing of the program's fixed chains and jumps. Rejects when the tool fails for another reason. */
export async function probeKernel(
  hands: Pick<Hands, 'run'>,
  variant: IptablesVariant,
  program: ProbedProgram,
): Promise<readonly DriftFinding[]> {
  const tool = toolsOf(variant, program.family).restore
  const probe = probeLines(probedTables(program))
  try {
    const { stdout } = await hands.run({
      argv: [tool, '-w', '5', '--noflush'],
      stdin: probe.map(({ line }) => `${line}\n`).join(''),
      timeoutMs: PROBE_TIMEOUT_MS,
    })
    return readProbe(stdout, program)
  } catch (error) {
    const failure = readRestoreFailure(error)
    if (!isCommandError(error) || failure.kind !== 'refused') throw error
    const missing = [...failure.lines.map((line) => probe[line - 1]), namedChain(error.stderr)]
    const findings = missing.flatMap((place) =>
      place?.chain === undefined ? [] : missingChain(place.table, place.chain),
    )
    if (findings.length === 0) throw error
    return findings
  }
}

/** What iptables-nft 1.8.9 says of a chain that is not there; iptables-legacy names the line. */
function namedChain(stderr: string): { readonly table: TableName; readonly chain: ChainName } | undefined {
  const [, chain, table] = /chain `(\S+)' in table `(\S+)' is incompatible/.exec(stderr) ?? []
  return chain === undefined || table === undefined ? undefined : { table, chain }
}

interface ProbeLine {
  readonly line: string
  readonly table: TableName
  readonly chain?: ChainName
}

/** What of a program decides what is asked. */
export type ProbedProgram = Pick<Program, 'family' | 'static' | 'jumps'>

interface ProbedTable {
  readonly table: TableName
  /** The first one is a fixed chain, so that the answer shows where the table begins. */
  readonly chains: readonly [ChainName, ...ChainName[]]
}

/** The canary for all fixed chains, or these themselves in a mode without; two that are not in every mode; jumps. */
function probedTables({ static: { chains }, jumps }: ProbedProgram): readonly ProbedTable[] {
  return ['mangle', 'filter', 'nat'].flatMap((table): readonly ProbedTable[] => {
    const fixed = chains.filter((chain) => chain.table === table).map(({ name }) => name)
    const asked = fixed.includes(CANARY) ? fixed.filter((name) => ALWAYS_PROBED.includes(name)) : fixed
    const [first, ...rest] = asked.toSorted((a, b) => Number(b === CANARY) - Number(a === CANARY))
    if (first === undefined) return []
    const base = jumps.filter((jump) => jump.table === table).map((jump) => jump.chain)
    return [{ table, chains: [first, ...new Set(base), ...rest] }]
  })
}

const ALWAYS_PROBED: readonly ChainName[] = [CANARY, POSTROUTING, MARK_MASQ]

function probeLines(tables: readonly ProbedTable[]): readonly ProbeLine[] {
  return tables.flatMap(({ table, chains }) => [
    { line: `*${table}`, table },
    ...chains.map((chain) => ({ line: `-S ${chain}`, table, chain })),
    { line: 'COMMIT', table },
  ])
}

function missingChain(table: TableName, chain: ChainName): DriftFinding {
  return { kind: 'missing chain', table, chain }
}

/** The answer lists the chains in the order of the questions, so each table's first chain begins its part. */
export function readProbe(stdout: string, program: ProbedProgram): readonly DriftFinding[] {
  const findings: DriftFinding[] = []
  const tables = probedTables(program)
  let at = 0
  for (const [index, { table, chains }] of tables.entries()) {
    const start = findChain(stdout, chains[0], at)
    const next = tables[index + 1]?.chains[0]
    const end = start < 0 || next === undefined ? -1 : findChain(stdout, next, start + 1)
    const lines = new Set(start < 0 ? [] : stdout.slice(start, end < 0 ? undefined : end).split('\n'))
    if (start < 0) findings.push(missingChain(table, chains[0]))
    else at = start + 1
    for (const jump of program.jumps) {
      if (jump.table !== table || lines.has(printRuleLine(`-A ${jump.chain}`, jump.rule, program.family))) continue
      findings.push({ kind: 'missing jump', table, chain: jump.chain })
    }
  }
  return findings
}

function findChain(stdout: string, chain: ChainName, from: number): number {
  return stdout.indexOf(`-N ${chain}\n`, from)
}

/**
 * Milliseconds until the kernel should be looked at again: `wanted`, or as long as it takes that a look that took
 * `durationMs` costs no more than `share` of a core.
 */
export function stretchInterval(wanted: number, durationMs: number, share: number): number {
  return Math.max(wanted, Math.ceil(durationMs / share))
}

/** Of a core, for reading everything back. */
export const READ_BACK_SHARE = 0.01
