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
import type { Syncer } from '../sync/syncer.ts'
import type { IptablesVariant } from '../sync/variant.ts'
import { type ConntrackCleaner, createConntrackCleaner } from './conntrack-cleaner.ts'
import { createFamilyReport, type FamilyReport, type SyncAttempt } from './family-report.ts'
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

/** The first sync comes when the node and a Snapshot are set. */
export function startFamily<P extends ModeProgram>(options: FamilyOptions, mode: Mode<P>): FamilySync {
  const { family, config, clock, log, metrics } = options
  const report = createFamilyReport(family, { clock, log, metrics, measure: mode.createMeter() })
  const conntrack = createConntrackCleaner(options)
  const syncer = mode.createSyncer({
    ...options,
    probeShare: options.drift.probeShare,
    now: clock.now,
    onEvent: report.event,
    onFirstRead: conntrack.found,
  })
  const course: Course<P> = { triggerTimes: [], reasons: new Set() }

  const parts = { options, report, conntrack, syncer, requestWithin: (ms: number) => pacer.requestWithin(ms) }
  const pacer = createPacer(
    { minInterval: config.minSyncPeriod, retryInterval: config.syncPeriod, maxInterval: LONGEST_INTERVAL_MS },
    clock,
    () => sync(course, parts),
  )

  function request(reason: string): void {
    course.reasons.add(reason)
    if (course.snapshot === undefined || course.compile === undefined) return
    options.onQueued()
    metrics.syncQueued(family)
    pacer.request()
  }

  const endLooks = startLooks(syncer, options, () => request('drift'))
  metrics.syncQueued(family)
  return {
    setNode: (node) => {
      course.compile = mode.createCompiler(config, node, family)
      request('node changed')
    },
    setSnapshot: (next, times) => {
      course.snapshot = next
      course.triggerTimes = [...course.triggerTimes, ...times]
      request('services or endpoints changed')
    },
    shown: () =>
      showCourse(course, report.lastFailure(), (program) => ({
        family,
        print: (service) => mode.printRules(program, service),
      })),
    stop: async () => {
      endLooks()
      await pacer.stop()
    },
  }
}

/** What the kernel is to have, why, and what it has. */
interface Course<P> {
  compile?: (snapshot: Snapshot) => P
  snapshot?: Snapshot
  /** Of changes that the kernel does not have yet. */
  triggerTimes: readonly number[]
  /** Why the next sync was asked for. */
  readonly reasons: Set<string>
  /** What the last sync that succeeded has written. */
  applied?: P
}

/** What a sync works with, and tells. */
interface SyncParts<P> {
  readonly options: FamilyOptions
  readonly report: FamilyReport<P>
  readonly conntrack: ConntrackCleaner
  readonly syncer: Syncer<P, Finding>
  /** Asks for another sync within so many milliseconds. */
  readonly requestWithin: (ms: number) => void
}

/** @throws what makes the pacer try again: the rules are not in the kernel. */
async function sync<P extends ModeProgram>(course: Course<P>, parts: SyncParts<P>): Promise<void> {
  const { options, report } = parts
  const { snapshot, compile } = course
  if (snapshot === undefined || compile === undefined || options.signal.aborted) return
  const attempt: SyncAttempt = {
    reason: course.reasons.size === 0 ? 'periodic' : [...course.reasons].join(', '),
    started: options.clock.now(),
    triggerTimes: course.triggerTimes,
  }
  course.reasons.clear()
  course.triggerTimes = []
  report.began()
  try {
    const program = compile(snapshot)
    report.compiled(attempt)
    await bring(program, attempt, parts)
    course.applied = program
    options.onSynced(snapshot)
    if (options.printPlan === undefined) await parts.conntrack.clean(program.servicePorts)
  } catch (error) {
    // What was not programmed still waits to be.
    course.triggerTimes = [...attempt.triggerTimes, ...course.triggerTimes]
    if (options.signal.aborted) return
    report.failed(error, attempt, course.applied !== undefined)
    throw error
  }
}

/** Writes the program into the kernel; in a dry run, prints what it would write. */
async function bring<P extends ModeProgram>(program: P, attempt: SyncAttempt, parts: SyncParts<P>): Promise<void> {
  const { options, report, syncer, requestWithin } = parts
  const { family, signal, printPlan } = options
  if (printPlan !== undefined) {
    const plan = await syncer.plan(program)
    printPlan(plan === '' ? `# ${family}: nothing to do\n` : `# ${family}\n${plan}`)
    return
  }
  const outcome = await syncer.sync(program, signal)
  report.synced(program, outcome, attempt)
  if (outcome.retryInMs !== undefined) requestWithin(outcome.retryInMs)
}

/** Looks for what others did to the rules: often at a little of them, seldom at all. Returns what ends it. */
function startLooks<P extends ModeProgram>(
  syncer: Syncer<P, Finding>,
  { family, clock, log, drift, signal }: FamilyOptions,
  onDrift: () => void,
): () => void {
  const look = async (find: () => Promise<LookReport<Finding>>): Promise<number> => {
    try {
      const { findings, tookMs } = await find()
      if (findings.length > 0) onDrift()
      return tookMs
    } catch (error) {
      if (!signal.aborted) log.warn('the kernel could not be looked at', { family, error })
      return 0
    }
  }
  const looks: readonly RepeatedLook[] = [
    { wantedMs: drift.probeMs, share: drift.probeShare, look: () => look(() => syncer.check(signal)) },
    { wantedMs: drift.readBackMs, share: READ_BACK_SHARE, look: () => look(() => syncer.readBack(signal)) },
  ]
  const ends = looks.map((repeated) => lookRepeatedly(repeated, clock))
  return () => {
    for (const end of ends) end()
  }
}

function showCourse<P extends ModeProgram>(
  { snapshot, compile, applied }: Course<P>,
  failed: string | undefined,
  show: (program: P) => ShownProgram,
): ShownRules {
  const wanted = snapshot === undefined ? undefined : compile?.(snapshot)
  const isPending = wanted !== undefined && wanted.servicePorts !== applied?.servicePorts
  return {
    ...(applied !== undefined && { applied: show(applied) }),
    ...(isPending && { pending: show(wanted) }),
    ...(failed !== undefined && { failed }),
  }
}
