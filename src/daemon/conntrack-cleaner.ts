// Deletes stale UDP entries of one family after syncs that can have made some; see sync/conntrack.ts.
import type { Hands } from '../host/hands.ts'
import type { Clock } from '../kube/clock.ts'
import type { Family } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import { needsConntrackCleanUp, staleFlows } from '../sync/conntrack.ts'
import type { Log } from './log.ts'
import type { DaemonMetrics } from './metrics.ts'

export interface ConntrackCleanerOptions {
  readonly family: Family
  readonly hands: Pick<Hands, 'dumpConntrack' | 'deleteConntrack'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<DaemonMetrics, 'conntrackCleaned'>
  readonly signal: AbortSignal
}

/** The returned function is given what the kernel has rules for now. It never rejects: what failed is tried next time. */
export function createConntrackCleaner(
  options: ConntrackCleanerOptions,
): (servicePorts: readonly ServicePort[]) => Promise<void> {
  const { family, hands, clock, log, metrics, signal } = options
  let cleaned: readonly ServicePort[] = []
  return async (servicePorts) => {
    if (!needsConntrackCleanUp(cleaned, servicePorts)) return
    const started = clock.now()
    try {
      const stale = staleFlows(cleaned, servicePorts, await hands.dumpConntrack(family))
      const deleted = stale.length === 0 ? 0 : await hands.deleteConntrack(family, stale)
      cleaned = servicePorts
      metrics.conntrackCleaned(family, { seconds: (clock.now() - started) / 1000, deleted })
      if (deleted > 0) log.info('stale UDP entries deleted', { family, entries: deleted })
    } catch (error) {
      if (!signal.aborted) log.error('stale UDP entries could not be deleted', { family, error })
    }
  }
}
