// The look at the fixed chains, and what looks may cost; when to look is drift-look.ts's.
// The probe is one process that lists the canaries, the base chains and the small fixed chains: 3 to 7 ms with
// iptables-nft, whatever the number of Services (with 10,000 of them `nft list chains` takes 280 ms, listing
// KUBE-SERVICES 140 ms, iptables-save 1.5 s). iptables-legacy reads whole tables: 90 ms with 2,000 Services x 5
// endpoints, 600 ms with 10,000; there the interval has to be stretched.
import type { Hands } from '../host/hands.ts'
import type { DriftFinding } from '../iptables/drift-finding.ts'
import { CANARY, MARK_MASQ, POSTROUTING } from '../iptables/names.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import { BASE_CHAIN_JUMPS } from '../iptables/static.ts'
import type { Family } from '../model/address.ts'
import { isCommandError, readRestoreFailure } from './restore-failure.ts'
import { type IptablesVariant, toolsOf } from './variant.ts'

const PROBE_TIMEOUT_MS = 30_000

/** What is missing of the fixed chains and jumps. Rejects when the tool fails for another reason. */
export async function probeKernel(
  hands: Pick<Hands, 'run'>,
  variant: IptablesVariant,
  family: Family,
): Promise<readonly DriftFinding[]> {
  const tool = toolsOf(variant, family).restore
  try {
    const { stdout } = await hands.run({
      argv: [tool, '-w', '5', '--noflush'],
      stdin: PROBE.map(({ line }) => `${line}\n`).join(''),
      timeoutMs: PROBE_TIMEOUT_MS,
    })
    return readProbe(stdout, family)
  } catch (error) {
    const failure = readRestoreFailure(error)
    if (!isCommandError(error) || failure.kind !== 'refused') throw error
    const missing = [...failure.lines.map((line) => PROBE[line - 1]), namedChain(error.stderr)]
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

const PROBED: Readonly<Record<TableName, readonly ChainName[]>> = {
  mangle: [CANARY],
  filter: [CANARY, 'INPUT', 'FORWARD', 'OUTPUT'],
  nat: [CANARY, 'PREROUTING', 'OUTPUT', 'POSTROUTING', POSTROUTING, MARK_MASQ],
}

const PROBE: readonly ProbeLine[] = Object.entries(PROBED).flatMap(([table, chains]) => [
  { line: `*${table}`, table },
  ...chains.map((chain) => ({ line: `-S ${chain}`, table, chain })),
  { line: 'COMMIT', table },
])

function missingChain(table: TableName, chain: ChainName): DriftFinding {
  return { kind: 'missing chain', table, chain }
}

/** The answer lists the chains in the order of the questions, so each canary begins a table. */
export function readProbe(stdout: string, family: Family): readonly DriftFinding[] {
  const findings: DriftFinding[] = []
  const parts = stdout.split(`-N ${CANARY}\n`).slice(1)
  for (const [index, table] of Object.keys(PROBED).entries()) {
    const lines = new Set((parts[index] ?? '').split('\n'))
    if (parts[index] === undefined) findings.push(missingChain(table, CANARY))
    for (const jump of BASE_CHAIN_JUMPS) {
      if (jump.table !== table || lines.has(printRuleLine(`-A ${jump.chain}`, jump.rule, family))) continue
      findings.push({ kind: 'missing jump', table, chain: jump.chain })
    }
  }
  return findings
}

/**
 * Milliseconds until the kernel should be looked at again: `wanted`, or as long as it takes that a look that took
 * `durationMs` costs no more than `share` of a core.
 */
export function stretchInterval(wanted: number, durationMs: number, share: number): number {
  return Math.max(wanted, Math.ceil(durationMs / share))
}

/** Of a core, for reading everything back, and for what is read because strangers wrote. */
export const READ_BACK_SHARE = 0.01
/** Of a core, for the frequent look; it matters with iptables-legacy only. */
export const PROBE_SHARE = 0.05
