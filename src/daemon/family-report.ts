// What happens to the rules of one family, told to the log and the metrics.
import type { TableName } from '../iptables/rule.ts'
import type { Clock } from '../kube/api/clock.ts'
import type { Family } from '../model/address.ts'
import type { SyncReport } from '../sync/syncer.ts'
import type { Log } from './log.ts'
import type { DaemonMetrics } from './metrics.ts'
import type { Finding, Mode, ModeProgram, ModeSyncEvent } from './mode.ts'
import { countNoLocalEndpoints } from './no-local-endpoints.ts'
import { logSync } from './sync-line.ts'

/** One sync, from its first step on. */
export interface SyncAttempt {
  readonly reason: string
  /** On the clock's now(). */
  readonly started: number
  /** When the causes of the change happened, in milliseconds since 1970. */
  readonly triggerTimes: readonly number[]
}

export interface FamilyReport<P> {
  readonly began: () => void
  readonly compiled: (attempt: SyncAttempt) => void
  readonly synced: (program: P, report: SyncReport<Finding>, attempt: SyncAttempt) => void
  /** `hadRules`: some sync has succeeded before. */
  readonly failed: (error: unknown, attempt: SyncAttempt, hadRules: boolean) => void
  readonly event: (event: ModeSyncEvent) => void
  /** What failed last since a sync succeeded, with what was to be written. */
  readonly lastFailure: () => string | undefined
}

/** After a flush every chain is a finding; a log that names them all helps nobody. */
const NAMED_FINDINGS = 10

export interface FamilyReportOptions<P extends ModeProgram> {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: DaemonMetrics
  readonly measure: ReturnType<Mode<P>['createMeter']>
}

export function createFamilyReport<P extends ModeProgram>(
  family: Family,
  { clock, log, metrics, measure }: FamilyReportOptions<P>,
): FamilyReport<P> {
  const heard: Heard = { written: new Map() }
  const secondsSince = (started: number) => (clock.now() - started) / 1000
  return {
    began: () => heard.written.clear(),
    compiled: ({ started }) => {
      metrics.compiled(family, secondsSince(started))
      metrics.changesTaken()
    },
    synced: (program, report, { reason, started, triggerTimes }) => {
      delete heard.lastFailure
      const { kind, lines, restoreMs, isolated, drift = [] } = report
      metrics.syncEnded(family, { kind, seconds: secondsSince(started), succeeded: true })
      if (lines > 0) {
        metrics.planned(family, lines)
        metrics.applied(family, restoreMs / 1000)
      }
      metrics.servicesIsolated(family, isolated.length)
      metrics.noLocalEndpoints(family, countNoLocalEndpoints(program.servicePorts))
      for (const time of triggerTimes) {
        metrics.networkProgrammed(family, Math.max(0, clock.wall() - time) / 1000)
      }
      const { services, endpoints, rules } = measure(program, report)
      for (const table of ['filter', 'nat'] as const) {
        metrics.rulesCounted(family, table, { owned: rules.get(table) ?? 0, written: heard.written.get(table) ?? 0 })
      }
      tellDrift(drift, family, log, metrics)
      logSync(log, { family, reason, outcome: report, services, endpoints })
    },
    failed: (error, { reason, started }, hadRules) => {
      metrics.restoreFailed(family, hadRules ? 'partial' : 'full')
      metrics.syncEnded(family, { kind: 'full', seconds: secondsSince(started), succeeded: false })
      log.error('rules could not be synced; the last good ones stay', { family, reason, error })
    },
    event: (event) => tellEvent(event, heard, family, log, metrics),
    lastFailure: () => {
      const { lastFailure } = heard
      return lastFailure && `# ${lastFailure.error.message}\n${lastFailure.payload?.() ?? ''}`
    },
  }
}

/** What events of a sync leave behind for later. */
interface Heard {
  /** Rules that the sync under way has written. */
  readonly written: Map<TableName, number>
  lastFailure?: Extract<ModeSyncEvent, { readonly kind: 'failed' }>
}

function tellEvent(event: ModeSyncEvent, heard: Heard, family: Family, log: Log, metrics: DaemonMetrics): void {
  switch (event.kind) {
    case 'isolated':
      log.error('the kernel refuses the rules of a Service; all others are programmed', {
        family,
        service: event.owner,
        ...(event.what !== undefined && { refused: event.what }),
        error: event.error,
      })
      break
    case 'reinstated':
      log.info('the kernel takes the rules of a Service again', { family, service: event.owner })
      break
    case 'failed':
      heard.lastFailure = event
      metrics.restoreFailed(family, 'full')
      log.verbose(1, 'a restore failed and is tried another way', { family, error: event.error })
      break
    case 'in batches':
      log.warn('writing everything at once takes too long; going on in batches', { family, error: event.error })
      break
    case 'batch':
      metrics.batchRestored(family)
      break
    case 'written':
      for (const [table, rules] of event.rules) heard.written.set(table, (heard.written.get(table) ?? 0) + rules)
      break
    default:
      event satisfies never
  }
}

function tellDrift(findings: readonly Finding[], family: Family, log: Log, metrics: DaemonMetrics): void {
  for (const { kind } of findings) metrics.driftFound(family, kind)
  const wrong = findings.filter(({ kind }) => !kind.startsWith('stale '))
  for (const { owner, ...place } of wrong.slice(0, NAMED_FINDINGS)) {
    log.warn('somebody changed our rules; they are repaired', { family, ...place, service: owner })
  }
  const rest = wrong.length - NAMED_FINDINGS
  if (rest > 0) log.warn('somebody changed more of our rules; they are repaired', { family, findings: rest })
}
