// One IP family of the daemon: Snapshots and node facts in, a kernel that has the rules out. Decides why and when there is
// a sync, and what happens around it.
import type { Hands } from '../host/hands.ts'
import type { Clock } from '../kube/api/clock.ts'
import type { Family } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { READ_BACK_SHARE } from '../sync/drift.ts'
import type { LookReport, StrangerSources } from '../sync/drift-look.ts'
import { createPacer } from '../sync/pacer.ts'
import type { IptablesVariant } from '../sync/variant.ts'
import { createConntrackCleaner } from './conntrack-cleaner.ts'
import { createFamilyReport, type SyncAttempt } from './family-report.ts'
import type { Log } from './log.ts'
import type { DaemonMetrics } from './metrics.ts'
import type { Finding, Mode, ModeProgram } from './mode.ts'
import type { DriftIntervals } from './options.ts'
import { lookRepeatedly, type RepeatedLook } from './repeated-look.ts'

export interface FamilyOptions {
  readonly family: Family
  readonly config: ProxyConfig
  readonly variant: IptablesVariant
  readonly hands: Hands
  readonly strangers?: StrangerSources
  readonly clock: Clock
  readonly log: Log
  readonly metrics: DaemonMetrics
  readonly drift: DriftIntervals
  readonly signal: AbortSignal
  /** A sync was asked for. */
  readonly onQueued: () => void
  /** The kernel has the rules of this Snapshot. */
  readonly onSynced: (snapshot: Snapshot) => void
  /** A dry run: gets what a sync would write, and nothing is written. */
  readonly printPlan?: (text: string) => void
}

export interface FamilySync {
  /** The node that rules are made for; a different one means that everything is compiled again. */
  readonly setNode: (node: NodeFacts) => void
  /** `triggerTimes`: when the causes of the change happened, in milliseconds since 1970. */
  readonly setSnapshot: (snapshot: Snapshot, triggerTimes: readonly number[]) => void
  /** For /debug/rules. */
  readonly shown: () => ShownRules
  readonly stop: () => Promise<void>
}

export interface ShownRules {
  readonly applied?: ShownProgram
  /** What is not programmed yet. */
  readonly pending?: ShownProgram
  /** What was refused, as text. */
  readonly failed?: string
}

export interface ShownProgram {
  readonly family: Family
  readonly print: (service: ObjectKey | undefined) => Generator<string>
}

/** kube-proxy's longest time without a sync. */
const LONGEST_INTERVAL_MS = 3_600_000

export function startFamily<P extends ModeProgram>(options: FamilyOptions, mode: Mode<P>): FamilySync {
  const { family, config, clock, log, metrics, drift, signal } = options
  const report = createFamilyReport(family, { clock, log, metrics, measure: mode.createMeter() })
  const conntrack = createConntrackCleaner(options)
  const syncer = mode.createSyncer({ ...options, now: clock.now, onEvent: report.event, onFirstRead: conntrack.found })
  const reasons = new Set<string>()
  let compiler: ReturnType<Mode<P>['createCompiler']> | undefined
  let snapshot: Snapshot | undefined
  let triggerTimes: readonly number[] = []
  let applied: P | undefined
  const show = (program: P): ShownProgram => ({ family, print: (service) => mode.printRules(program, service) })

  const pacer = createPacer(
    { minInterval: config.minSyncPeriod, retryInterval: config.syncPeriod, maxInterval: LONGEST_INTERVAL_MS },
    clock,
    sync,
  )
  const looks: readonly RepeatedLook[] = [
    { wantedMs: drift.probeMs, share: drift.probeShare, look: () => look(() => syncer.check(signal)) },
    { wantedMs: drift.readBackMs, share: READ_BACK_SHARE, look: () => look(() => syncer.readBack(signal)) },
  ]
  const endLooks = looks.map((repeated) => lookRepeatedly(repeated, clock))
  metrics.syncQueued(family)

  function request(reason: string): void {
    reasons.add(reason)
    if (snapshot === undefined || compiler === undefined) return
    options.onQueued()
    metrics.syncQueued(family)
    pacer.request()
  }

  async function look(find: () => Promise<LookReport<Finding>>): Promise<number> {
    try {
      const { findings, tookMs } = await find()
      if (findings.length > 0) request('drift')
      return tookMs
    } catch (error) {
      if (!signal.aborted) log.warn('the kernel could not be looked at', { family, error })
      return 0
    }
  }

  async function sync(): Promise<void> {
    if (snapshot === undefined || compiler === undefined || signal.aborted) return
    const attempt: SyncAttempt = {
      reason: reasons.size === 0 ? 'periodic' : [...reasons].join(', '),
      started: clock.now(),
      triggerTimes,
    }
    reasons.clear()
    triggerTimes = []
    report.began()
    try {
      await bring(snapshot, compiler, attempt)
    } catch (error) {
      // What was not programmed still waits to be.
      triggerTimes = [...attempt.triggerTimes, ...triggerTimes]
      if (signal.aborted) return
      report.failed(error, attempt, applied !== undefined)
      throw error
    }
  }

  async function bring(current: Snapshot, compile: (from: Snapshot) => P, attempt: SyncAttempt): Promise<void> {
    const program = compile(current)
    report.compiled(attempt)
    if (options.printPlan === undefined) {
      const outcome = await syncer.sync(program, signal)
      report.synced(program, outcome, attempt)
      if (outcome.retryInMs !== undefined) pacer.requestWithin(outcome.retryInMs)
    } else {
      const plan = await syncer.plan(program)
      options.printPlan(plan === '' ? `# ${family}: nothing to do\n` : `# ${family}\n${plan}`)
    }
    applied = program
    options.onSynced(current)
    if (options.printPlan === undefined) await conntrack.clean(program.servicePorts)
  }

  return {
    setNode: (node) => {
      compiler = mode.createCompiler(config, node, family)
      request('node changed')
    },
    setSnapshot: (next, times) => {
      snapshot = next
      triggerTimes = [...triggerTimes, ...times]
      request('services or endpoints changed')
    },
    shown: () => {
      const failed = report.lastFailure()
      const wanted = snapshot === undefined ? undefined : compiler?.(snapshot)
      const isPending = wanted !== undefined && wanted.servicePorts !== applied?.servicePorts
      return {
        ...(applied !== undefined && { applied: show(applied) }),
        ...(isPending && { pending: show(wanted) }),
        ...(failed !== undefined && { failed }),
      }
    },
    stop: async () => {
      for (const end of endLooks) end()
      await pacer.stop()
    },
  }
}
