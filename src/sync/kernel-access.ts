// Reading and writing one family's rules with the tools of one variant.
import type { Hands } from '../host/hands.ts'
import { type KernelText, readKernelText } from '../iptables/kernel-text.ts'
import type { RulesetChange } from '../iptables/restore.ts'
import {
  findPayloadLines,
  listWhenLarge,
  NEVER_LIST,
  type PayloadLine,
  printRestorePayload,
  withoutPrinted,
} from '../iptables/restore-payload.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'
import type { Generations } from './generations.ts'
import { type RestoreFailure, readRestoreFailure } from './restore-failure.ts'
import { type IptablesVariant, toolsOf } from './variant.ts'

export interface KernelAccess {
  readonly variant: IptablesVariant
  readonly family: Family
  readonly read: (limitMs?: number) => Promise<KernelText>
  /** The rules of some chains of a table, as lines `-A CHAIN ...`: quick, however large the table is. */
  readonly list: (table: TableName, chains: readonly ChainName[]) => Promise<ReadonlySet<string>>
  /** The number of lines written. Throws RestoreError; then assume nothing about what was applied. */
  readonly write: (change: RulesetChange, chainsPresent: ChainsPresent) => Promise<number>
}

/** Roughly how many chains a table has. */
export type ChainsPresent = (table: TableName) => number

export class RestoreError extends Error {
  override readonly name = 'RestoreError'
  readonly failure: RestoreFailure
  /** The lines that were refused, as far as the tool names them. */
  readonly lines: readonly PayloadLine[]
  /** The change that was to be made, for a dump on request. */
  readonly change: RulesetChange

  constructor(cause: unknown, failure: RestoreFailure, lines: readonly PayloadLine[], change: RulesetChange) {
    const said = cause instanceof Error ? cause.message : String(cause)
    const where = lines.map(({ table, text }) => `; refused in table ${table}: ${text}`).slice(0, SHOWN_LINES)
    super(said + where.join(''), { cause })
    this.failure = failure
    this.lines = lines
    // Its bytes would be kept as long as the error is.
    this.change = withoutPrinted(change)
  }
}

const SHOWN_LINES = 3
const NOBODY: Pick<Generations, 'write'> = { write: (_, make) => make() }
/** Seconds to wait for the lock, as kube-proxy does. */
const LOCK_WAIT = '5'
const READ_TIMEOUT_MS = 120_000

export interface AccessOptions {
  /** The limit for a payload of so many lines. */
  readonly timeoutMs: (lines: number) => number
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number
  /** Told of each write. */
  readonly generations?: Pick<Generations, 'write'>
  /** The kernel took a payload. */
  readonly onWritten?: (written: WrittenPayload) => void
}

export interface WrittenPayload {
  /** By table. */
  readonly rules: ReadonlyMap<TableName, number>
  /** Milliseconds of the restore command, from the printed payload to its end. */
  readonly restoreMs: number
}

export function createKernelAccess(
  hands: Pick<Hands, 'run'>,
  variant: IptablesVariant,
  family: Family,
  { timeoutMs, now, generations = NOBODY, onWritten = () => {} }: AccessOptions,
): KernelAccess {
  const tools = toolsOf(variant, family)
  return {
    variant,
    family,
    read: async (limitMs = READ_TIMEOUT_MS) => {
      const { stdout } = await hands.run({ argv: [tools.save], timeoutMs: limitMs })
      return readKernelText(stdout)
    },
    list: async (table, chains) => {
      const { stdout } = await hands.run({
        argv: [tools.restore, '-w', LOCK_WAIT, '--noflush'],
        stdin: [`*${table}`, ...chains.map((chain) => `-S ${chain}`), 'COMMIT', ''].join('\n'),
        timeoutMs: timeoutMs(chains.length),
      })
      return new Set(stdout.split('\n'))
    },
    write: async (change, chainsPresent) => {
      const listsFirst = variant === 'legacy' ? NEVER_LIST : listWhenLarge(chainsPresent)
      const { blocks, lines, rules, transactions } = printRestorePayload(change, listsFirst)
      const started = now()
      let restoreMs = 0
      try {
        await generations.write(transactions, async () => {
          await hands.run({
            argv: [tools.restore, '-w', LOCK_WAIT, '--noflush', '--counters'],
            stdin: blocks,
            timeoutMs: timeoutMs(lines),
            discardOutput: true,
          })
          restoreMs = now() - started
        })
      } catch (error) {
        const failure = readRestoreFailure(error)
        const numbers = new Set(failure.kind === 'refused' ? failure.lines : [])
        throw new RestoreError(error, failure, findPayloadLines(change, listsFirst, numbers), change)
      }
      onWritten({ rules, restoreMs })
      return lines
    },
  }
}
