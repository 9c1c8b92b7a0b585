// /healthz and /livez on healthzBindAddress, for cloud load balancers and the kubelet. Bodies are those of kube-proxy to
// the byte, because people's health checks read them.
import type { Clock } from '../kube/api/clock.ts'
import type { Family } from '../model/address.ts'
import type { Node } from '../model/snapshot.ts'
import { type Answer, jsonReply, notFound, type Reply } from './http-reply.ts'
import { formatRfc3339, type Instant, NEVER, readInstant, zoneOffset } from './instant.ts'
import {
  type HealthState,
  type HealthVerdict,
  INITIAL_HEALTH,
  isNodeEligible,
  judgeHealth,
  markNode,
  markQueued,
  markUpdated,
} from './proxy-health.ts'

export type HealthPath = 'healthz' | 'livez'

export interface ProxyHealthOptions {
  readonly clock: Clock
  /** See healthTimeout in proxy-health.ts. */
  readonly timeoutMs: number
  /** Minutes ahead of UTC in which times are shown; that of the process when absent. */
  readonly offset?: (wall: bigint) => number
  /** Called for each answer, for the counters. */
  readonly onAnswer?: (path: HealthPath, status: number) => void
}

/** The health of the running proxy: told what happens, asked by the servers. */
export interface ProxyHealth {
  readonly queued: (family: Family) => void
  readonly updated: (family: Family) => void
  /** Absent: the cluster does not have this node. */
  readonly nodeChanged: (node: Node | undefined) => void
  /** Without the node's eligibility: what service health checks report. */
  readonly isHealthy: () => boolean
  readonly answer: Answer
}

export function createProxyHealth({ clock, timeoutMs, offset, onAnswer }: ProxyHealthOptions): ProxyHealth {
  let state: HealthState = INITIAL_HEALTH
  return {
    queued: (family) => {
      state = markQueued(state, family, readInstant(clock))
    },
    updated: (family) => {
      state = markUpdated(state, family, readInstant(clock))
    },
    nodeChanged: (node) => {
      state = markNode(state, isNodeEligible(node))
    },
    isHealthy: () => judgeHealth(state, readInstant(clock), timeoutMs).healthy,
    answer: ({ path }) => {
      if (path !== '/healthz' && path !== '/livez') return notFound()
      const at = readInstant(clock)
      const name = path.slice(1) as HealthPath
      const reply = printHealth(name, judgeHealth(state, at, timeoutMs), at, offset ?? zoneOffset)
      onAnswer?.(name, reply.status)
      return reply
    },
  }
}

/** /healthz also asks whether the node may get traffic; /livez only whether the proxy should be restarted. */
function printHealth(path: HealthPath, verdict: HealthVerdict, at: Instant, offset: (wall: bigint) => number): Reply {
  const ok = verdict.healthy && (path === 'livez' || verdict.nodeEligible)
  const show = (instant: Instant) => formatRfc3339(instant.wall, offset(instant.wall))
  // Who is fine is up to date, as of now; the families' own times stay.
  const lastUpdated = ok ? at : verdict.lastUpdated
  const families = verdict.families.map(({ family, healthy, lastUpdated: updated }) => {
    return [family === 'ipv4' ? 'IPv4' : 'IPv6', { lastUpdated: show(updated), healthy }]
  })
  const body = {
    lastUpdated: lastUpdated === undefined ? NEVER : show(lastUpdated),
    currentTime: show(at),
    ...(path === 'healthz' && { nodeEligible: verdict.nodeEligible }),
    healthy: verdict.healthy,
    ...(families.length > 0 && { status: Object.fromEntries(families) }),
  }
  return jsonReply(ok ? 200 : 503, JSON.stringify(body))
}
