// Whether the proxy keeps up, for /healthz and /livez: a pure state and its judgement at a moment.
//
// A family is unhealthy when a sync that was asked for has not succeeded for healthTimeout (twice syncPeriod). One that
// never synced does not count, so a proxy that has just started is healthy, as with kube-proxy.
import { FAMILIES, type Family } from '../model/address.ts'
import type { Node } from '../model/snapshot.ts'
import type { Instant } from './instant.ts'

export interface FamilyHealth {
  /** When the last sync succeeded. */
  readonly lastUpdated?: Instant
  /** When the oldest sync was asked for that has not succeeded yet. */
  readonly oldestPending?: Instant
}

export interface HealthState {
  readonly families: Readonly<Record<Family, FamilyHealth>>
  /** Whether load balancers may send traffic to this node; see isNodeEligible. */
  readonly nodeEligible: boolean
}

export interface FamilyVerdict {
  readonly family: Family
  readonly lastUpdated: Instant
  readonly healthy: boolean
}

export interface HealthVerdict {
  /** Does not depend on the node's eligibility. */
  readonly healthy: boolean
  readonly nodeEligible: boolean
  /** Of all families the newest; absent when none ever synced. */
  readonly lastUpdated?: Instant
  /** Only families that have synced once, IPv4 first. */
  readonly families: readonly FamilyVerdict[]
}

/** Nothing was asked for yet, and the Node is unknown. */
export const INITIAL_HEALTH: HealthState = { families: { ipv4: {}, ipv6: {} }, nodeEligible: false }

/** Twice the sync period. */
export function healthTimeout(syncPeriodMs: number): number {
  return 2 * syncPeriodMs
}

/** A sync was asked for. Only the oldest open request counts. */
export function markQueued(state: HealthState, family: Family, at: Instant): HealthState {
  const known = state.families[family]
  return known.oldestPending === undefined ? setFamily(state, family, { ...known, oldestPending: at }) : state
}

/** A sync succeeded. */
export function markUpdated(state: HealthState, family: Family, at: Instant): HealthState {
  return setFamily(state, family, { lastUpdated: at })
}

export function markNode(state: HealthState, nodeEligible: boolean): HealthState {
  return { ...state, nodeEligible }
}

/** Absent: the cluster does not have the Node. Unschedulable nodes and taints of other kinds are fine. */
export function isNodeEligible(node: Node | undefined): boolean {
  return node !== undefined && node.leaving !== true
}

export function judgeHealth(state: HealthState, at: Instant, timeoutMs: number): HealthVerdict {
  const families = FAMILIES.flatMap((family): readonly FamilyVerdict[] => {
    const { lastUpdated, oldestPending } = state.families[family]
    if (lastUpdated === undefined) return []
    const healthy = oldestPending === undefined || at.steady - oldestPending.steady < timeoutMs
    return [{ family, lastUpdated, healthy }]
  })
  const [newest] = families.map(({ lastUpdated }) => lastUpdated).toSorted((a, b) => b.steady - a.steady)
  return {
    healthy: families.every(({ healthy }) => healthy),
    nodeEligible: state.nodeEligible,
    ...(newest && { lastUpdated: newest }),
    families,
  }
}

function setFamily(state: HealthState, family: Family, health: FamilyHealth): HealthState {
  return { ...state, families: { ...state.families, [family]: health } }
}
