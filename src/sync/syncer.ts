// Keeps the kernel's iptables rules of one family equal to what is desired, with the smallest change.
// Goals: 1. What is not confirmed is not believed: after any failure the kernel is read. 2. A Service that the kernel
// refuses holds up nobody: it keeps what it has, and is tried again. 3. Other programs' rules stay as they are, at all
// times. 4. Nothing is written when nothing is to be changed, so a restart is not noticed.
// It refuses to decide when to run (pacer.ts), and what is desired (the compiler).
import type { Hands } from '../host/hands.ts'
import { diffKernel } from '../iptables/diff-kernel.ts'
import type { DriftFinding } from '../iptables/drift-finding.ts'
import type { KernelText } from '../iptables/kernel-text.ts'
import type { Program } from '../iptables/program.ts'
import { printRestore } from '../iptables/restore.ts'
import type { Family } from '../model/address.ts'
import { createApplier } from './applier.ts'
import { type BringerLimits, createBringer } from './bringer.ts'
import { createCounters } from './counters.ts'
import { createDriftLooks, type LookReport, type StrangerSources } from './drift-look.ts'
import { createIsolations } from './isolation.ts'
import { createKernelAccess } from './kernel-access.ts'
import { createQueue } from './queue.ts'
import type { SyncEvent } from './sync-event.ts'
import type { IptablesVariant } from './variant.ts'

export interface SyncerOptions {
  readonly hands: Pick<Hands, 'run' | 'ensureCounters'>
  readonly family: Family
  readonly variant: IptablesVariant
  /** The look then sees all chains, where it would see the fixed ones only. iptables-nft alone has it. */
  readonly strangers?: StrangerSources
  /** Of a core, that `check` may cost where strangers write elsewhere all the time. */
  readonly probeShare?: number
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number
  readonly limits?: Partial<SyncLimits>
  readonly onEvent?: (event: SyncEvent) => void
  /** What the kernel held before anything was written. */
  readonly onFirstRead?: (kernel: KernelText) => void
}

export interface SyncLimits extends BringerLimits {
  /** Milliseconds for one iptables-restore with so many lines. */
  readonly restoreMs: (lines: number) => number
}

export interface SyncReport<F = DriftFinding> {
  /** Whether the kernel was read and compared, or only a change written. */
  readonly kind: 'full' | 'partial' | 'none'
  /** Of the payloads. */
  readonly lines: number
  readonly durationMs: number
  /** How much of it the restore commands took. */
  readonly restoreMs: number
  /** Owners that the kernel refuses. */
  readonly isolated: readonly string[]
  /** When a refused owner should be tried again: ask for a sync by then. */
  readonly retryInMs?: number
  /** What was not as it had been left, and is repaired. */
  readonly drift?: readonly F[]
  /** The rules, where they are only a part of what was desired. */
  readonly rules?: Program
}

/** `P` is what is desired, `F` what is found to be different from what was left. */
export interface Syncer<P = Program, F = DriftFinding> {
  /** Rejects with RestoreError, or with what the Hands reject with; the next sync begins with reading the kernel. */
  sync(program: P, signal: AbortSignal): Promise<SyncReport<F>>
  /** A cheap look, that sees more when there is reason to; findings are repaired by the next sync. */
  check(signal: AbortSignal): Promise<LookReport<F>>
  /** Compares everything; findings are repaired by the next sync. */
  readBack(signal: AbortSignal): Promise<LookReport<F>>
  /** The next sync reads the kernel. */
  forget(): void
  /** What a sync would write now, as text for iptables-restore; empty when nothing. */
  plan(program: P): Promise<string>
}

const DEFAULT_LIMITS: SyncLimits = {
  restoreMs: (lines) => 10_000 + lines / 5,
  batchSize: 1_200,
  lockAttempts: 12,
}

export function createSyncer(options: SyncerOptions): Syncer {
  const { hands, now, family, variant, strangers, onEvent = () => {} } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  /** Of the sync under way. */
  let restoreMs = 0
  const access = createKernelAccess(hands, variant, family, {
    timeoutMs: limits.restoreMs,
    now,
    ...(strangers && { generations: strangers.generations }),
    onWritten: (written) => {
      looks.wrote()
      restoreMs += written.restoreMs
      onEvent({ kind: 'written', ...written })
    },
  })
  const applier = createApplier({ ...access, read: tellFirst(access.read, options.onFirstRead) })
  const looks = createDriftLooks({ ...options, applier })
  const isolations = createIsolations(now)
  const counters = createCounters(hands)
  const inTurn = createQueue()
  const bringer = createBringer({ applier, isolations, limits, onEvent })

  return {
    sync: (program, signal) =>
      inTurn(async () => {
        const started = now()
        restoreMs = 0
        const possible = await counters.adapt(program)
        const allCompared = await looks.beforeSync()
        const applied = await bringer.bringAll(possible, signal)
        const lines = applied.lines + (await bringer.retryDue(possible, signal))
        if (applied.compared) allCompared()
        const retryInMs = isolations.nextInMs()
        return {
          kind: lines === 0 ? 'none' : applied.compared ? 'full' : 'partial',
          lines,
          durationMs: now() - started,
          restoreMs,
          isolated: isolations.owners(),
          ...(retryInMs !== undefined && { retryInMs }),
          ...(applied.drift.length > 0 && { drift: applied.drift }),
        }
      }),
    check: () => inTurn(looks.frequent),
    readBack: () => inTurn(looks.readBack),
    forget: applier.forget,
    plan: (program) =>
      inTurn(async () => {
        const kernel = await applier.read()
        return printRestore(diffKernel(isolations.substitute(await counters.adapt(program)), kernel))
      }),
  }
}

function tellFirst<A extends readonly unknown[], T>(
  read: (...args: A) => Promise<T>,
  tell: ((first: T) => void) | undefined,
): (...args: A) => Promise<T> {
  let isFirst = true
  return async (...args) => {
    const result = await read(...args)
    if (isFirst) tell?.(result)
    isFirst = false
    return result
  }
}
