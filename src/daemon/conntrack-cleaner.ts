// Deletes stale UDP entries of one family after syncs that can have made some; see sync/conntrack.ts.
import type { Hands } from '../host/hands.ts'
import type { KernelText } from '../iptables/kernel-text.ts'
import type { Clock } from '../kube/api/clock.ts'
import type { Family } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import { NO_FRONTENDS, needsConntrackCleanUp, staleFlows } from '../sync/conntrack.ts'
import { readUdpFrontends } from '../sync/rule-frontends.ts'
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

export interface ConntrackCleaner {
  /** The rules that an earlier run left, before any of them is changed. */
  readonly found: (kernel: KernelText) => void
  /** Is given what the kernel has rules for now. Never rejects: what failed is tried next time. */
  readonly clean: (servicePorts: readonly ServicePort[]) => Promise<void>
}

export function createConntrackCleaner(options: ConntrackCleanerOptions): ConntrackCleaner {
  const { family, hands, clock, log, metrics, signal } = options
  let cleaned: readonly ServicePort[] = []
  let left = NO_FRONTENDS
  const clean = async (servicePorts: readonly ServicePort[]): Promise<void> => {
    const isLeft = left.addresses.size + left.nodePorts.size > 0
    if (!isLeft && !needsConntrackCleanUp(cleaned, servicePorts)) return
    const started = clock.now()
    try {
      const stale = staleFlows(cleaned, servicePorts, await hands.dumpConntrack(family), left)
      const deleted = stale.length === 0 ? 0 : await hands.deleteConntrack(family, stale)
      cleaned = servicePorts
      left = NO_FRONTENDS
      metrics.conntrackCleaned(family, { seconds: (clock.now() - started) / 1000, deleted })
      if (deleted > 0) log.info('stale UDP entries deleted', { family, entries: deleted })
    } catch (error) {
      if (!signal.aborted) log.error('stale UDP entries could not be deleted', { family, error })
    }
  }
  return {
    found: (kernel) => {
      left = readUdpFrontends(kernel, family)
    },
    clean,
  }
}
