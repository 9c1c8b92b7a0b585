// Keeps the kernel's iptables rules of one family equal to what is desired, with the smallest change.
// Goals: 1. What is not confirmed is not believed: after any failure the kernel is read. 2. A Service that the kernel
// refuses holds up nobody: it keeps what it has, and is tried again. 3. Other programs' rules stay as they are, at all
// times. 4. Nothing is written when nothing is to be changed, so a restart is not noticed.
// It refuses to decide when to run (pacer.ts), and what is desired (the compiler).
import type { Hands } from '../host/hands.ts'
import type { Chunk } from '../iptables/chunk.ts'
import { diffKernel } from '../iptables/diff-kernel.ts'
import type { DriftFinding } from '../iptables/drift-finding.ts'
import { findOwner } from '../iptables/find-owner.ts'
import { createKeptChunks } from '../iptables/kept-chunk.ts'
import type { KernelText } from '../iptables/kernel-text.ts'
import type { Program } from '../iptables/program.ts'
import { printRestore } from '../iptables/restore.ts'
import type { TableName } from '../iptables/rule.ts'
import { ownerOf } from '../iptables/service.ts'
import type { Family } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import { type Applied, createApplier } from './applier.ts'
import { createCounters } from './counters.ts'
import { createDriftLooks, type LookReport, type StrangerSources } from './drift-look.ts'
import { bringInGroups } from './in-groups.ts'
import { createIsolations } from './isolation.ts'
import { createKernelAccess, RestoreError } from './kernel-access.ts'
import { createQueue } from './queue.ts'
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

export interface SyncLimits {
  /** Milliseconds for one iptables-restore with so many lines. */
  readonly restoreMs: (lines: number) => number
  /** Chains at a time when everything at once takes too long; a Service with 5 endpoints has 6. */
  readonly batchSize: number
  /** How often a lock that is held is asked for before the sync fails; each time waits for 5 seconds. */
  readonly lockAttempts: number
}

/** For logs and metrics. */
export type SyncEvent =
  | { readonly kind: 'isolated'; readonly owner: string; readonly error: RestoreError }
  /** The kernel takes its rules again. */
  | { readonly kind: 'reinstated'; readonly owner: string }
  /** The sync goes on with what can be done about it. */
  | { readonly kind: 'restore failed'; readonly error: RestoreError }
  /** A whole change took too long. */
  | { readonly kind: 'in batches'; readonly error: RestoreError }
  | { readonly kind: 'batch' }
  /** The kernel has this part of a sync. */
  | { readonly kind: 'written'; readonly rules: ReadonlyMap<TableName, number>; readonly restoreMs: number }

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
/** Refusals that nobody is to blame for: somebody else may have changed the rules between reading and writing. */
const READ_AGAIN = 2

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

  const isolate = (servicePort: ServicePort, chunk: Chunk, error: RestoreError) => {
    isolations.add(servicePort, chunk)
    onEvent({ kind: 'isolated', owner: ownerOf(servicePort), error })
  }

  const inGroups = (program: Program, signal: AbortSignal) =>
    bringInGroups(applier, isolations, program, { onGroup: () => signal.throwIfAborted(), onIsolated: isolate })

  const inBatches = (program: Program, { change }: RestoreError, signal: AbortSignal) =>
    applier.bringInBatches(program, change, {
      size: limits.batchSize,
      onBatch: () => {
        signal.throwIfAborted()
        onEvent({ kind: 'batch' })
      },
    })

  /** Everything but what is isolated; isolates what is refused. */
  const bringAll = async (program: Program, signal: AbortSignal): Promise<Applied> => {
    let locked = 0
    let blameless = 0
    let kernel: Awaited<ReturnType<typeof applier.read>> | undefined
    for (;;) {
      signal.throwIfAborted()
      // When somebody else changed the rules, a change of what is believed may be refused without any Service's fault.
      const guessed = applier.guesses(program)
      const possible = isolations.substitute(program)
      try {
        return await applier.bring(possible, kernel && { kernel })
      } catch (error) {
        kernel = undefined
        if (!(error instanceof RestoreError)) throw error
        const { failure } = error
        if (failure.kind === 'other') throw error
        onEvent({ kind: 'restore failed', error })
        if (failure.kind === 'locked') {
          locked += 1
          if (locked >= limits.lockAttempts) throw error
        } else if (failure.kind === 'timeout') {
          onEvent({ kind: 'in batches', error })
          return comparedAll(await inBatches(possible, error, signal))
        } else if (!guessed) {
          const owners = ownersOf(error, program)
          if (owners.length > 0) {
            kernel = await applier.read()
            const keep = createKeptChunks(kernel)
            for (const owner of owners) isolate(owner, keep(owner), error)
          } else {
            blameless += 1
            if (blameless > READ_AGAIN) {
              return comparedAll(await inGroups(program, signal))
            }
          }
        }
      }
    }
  }

  /** Isolated ServicePorts whose time has come, each alone, after everything else stands. */
  const retryDue = async (program: Program, signal: AbortSignal): Promise<number> => {
    let lines = 0
    for (const servicePort of isolations.due(program)) {
      signal.throwIfAborted()
      const owner = ownerOf(servicePort)
      try {
        lines += (await applier.bring(isolations.substitute(program, owner))).lines
        isolations.remove(owner)
        onEvent({ kind: 'reinstated', owner })
      } catch (error) {
        if (!(error instanceof RestoreError) || error.failure.kind !== 'refused') throw error
        isolate(servicePort, createKeptChunks(await applier.read())(servicePort), error)
      }
    }
    return lines
  }

  return {
    sync: (program, signal) =>
      inTurn(async () => {
        const started = now()
        restoreMs = 0
        const possible = await counters.adapt(program)
        const allCompared = await looks.beforeSync()
        const applied = await bringAll(possible, signal)
        const lines = applied.lines + (await retryDue(possible, signal))
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

  /** Who in the program is named by the failure; those that are isolated already are not. */
  function ownersOf(error: RestoreError, program: Program): readonly ServicePort[] {
    const isolated = new Set(isolations.owners())
    const owners = new Set(error.lines.map((line) => findOwner(program, line)))
    return [...owners].filter((owner) => owner !== undefined).filter((owner) => !isolated.has(ownerOf(owner)))
  }
}

function comparedAll(lines: number): Applied {
  return { lines, compared: true, drift: [] }
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
