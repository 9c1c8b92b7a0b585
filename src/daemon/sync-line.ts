// The one line that every sync leaves in the log: what changed, counts, milliseconds and the reason.
import type { Family } from '../model/address.ts'
import type { Log } from './log.ts'

/** What of a SyncReport the line tells. */
export interface SyncOutcome {
  readonly kind: 'full' | 'partial' | 'none'
  readonly lines: number
  readonly durationMs: number
  /** How much of it the restore commands took. */
  readonly restoreMs: number
  /** Owners that the kernel refused. */
  readonly isolated: readonly string[]
  readonly drift?: readonly unknown[]
}

export interface SyncLine {
  readonly family: Family
  /** Why there was a sync: `endpoints changed`, `periodic`, `drift`. */
  readonly reason: string
  readonly outcome: SyncOutcome
  /** Totals after the sync. */
  readonly services: number
  readonly endpoints: number
  /** The Services whose rules changed, where somebody counted them. */
  readonly changedServices?: readonly string[]
}

/** More names than this are only counted. */
const NAMED_SERVICES = 3

/**
 * Logs at level 0. A periodic sync that found nothing to do and nothing wrong is no news: level 2.
 */
export function logSync(log: Log, { family, reason, outcome, services, endpoints, changedServices }: SyncLine): void {
  const { kind, lines, durationMs, restoreMs, isolated, drift = [] } = outcome
  const fields = {
    family: family === 'ipv4' ? 'IPv4' : 'IPv6',
    reason,
    kind,
    lines,
    ms: rounded(durationMs),
    ...(lines > 0 && { restoreMs: rounded(restoreMs) }),
    services,
    endpoints,
    ...(changedServices !== undefined && { changed: nameSome(changedServices) }),
    ...(isolated.length > 0 && { isolated: nameSome(isolated) }),
    ...(drift.length > 0 && { drift: drift.length }),
  }
  if (isolated.length > 0) log.warn('synced rules, without those that the kernel refused', fields)
  else if (kind === 'none' && drift.length === 0) log.verbose(2, 'rules are as they should be', fields)
  else log.info('synced rules', fields)
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}

/** `ns1/a, ns1/b and 4 more` */
function nameSome(names: readonly string[]): string {
  const rest = names.length - NAMED_SERVICES
  const some = names.slice(0, NAMED_SERVICES).join(', ')
  return rest > 0 ? `${some} and ${rest} more` : some
}
