// Kubernetes Events that kube-proxy's users know, events.k8s.io/v1. They are news for people and nothing depends on them:
// a failure to send one is logged, and a flood is cut.
import type { Clock } from '../kube/api/clock.ts'
import type { ObjectKey } from '../model/object-name.ts'
import { formatRfc3339, readInstant } from './instant.ts'
import type { Log } from './log.ts'
import { describeError } from './log-value.ts'

export interface EventsOptions {
  readonly nodeName: string
  /** Sends JSON to a path of the API server; rejects when it is refused. */
  readonly post: (path: string, body: string) => Promise<unknown>
  readonly clock: Clock
  readonly log: Log
  /** Events that wait; more are dropped. */
  readonly queueLimit?: number
}

export interface Events {
  readonly starting: () => void
  readonly ipvsDeprecated: (note: string) => void
  readonly healthServerFailed: (error: Error) => void
  readonly metricsServerFailed: (error: Error) => void
  readonly serviceHealthCheckFailed: (service: ObjectKey, port: number, error: Error) => void
  /** Resolves when all that was reported so far is sent or given up. */
  readonly flush: () => Promise<void>
}

/** Who an Event is about. Objects whose uid nobody read are told by their name, as kube-proxy does. */
interface Regarding {
  readonly kind: 'Node' | 'Service'
  readonly namespace?: string
  readonly name: string
  readonly uid: string
  readonly apiVersion: 'v1'
}

interface Report {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly action: string
  readonly note: string
}

const CONTROLLER = 'kube-proxy'
const QUEUE_LIMIT = 100
/** The same Event again within this time says nothing new. */
const REPEAT_MS = 10 * 60_000
// Limits of the API.
const LONGEST_NOTE = 1024
const LONGEST_INSTANCE = 128

export function createEvents(options: EventsOptions): Events {
  const { nodeName, post, clock, log, queueLimit = QUEUE_LIMIT } = options
  const node: Regarding = { kind: 'Node', name: nodeName, uid: nodeName, apiVersion: 'v1' }
  const lastSent = new Map<string, number>()
  let waiting = 0
  let reported = 0
  let sending: Promise<void> = Promise.resolve()

  const report = (regarding: Regarding, event: Report): void => {
    const at = readInstant(clock)
    const key = JSON.stringify([regarding, event])
    for (const [known, since] of lastSent) if (at.steady - since >= REPEAT_MS) lastSent.delete(known)
    if (lastSent.has(key)) return
    if (waiting >= queueLimit) {
      log.warn('an Event is dropped, because too many wait', { reason: event.reason, about: regarding.uid })
      return
    }
    lastSent.set(key, at.steady)
    waiting += 1
    reported += 1
    // Names come from the time, and several Events may fall into one millisecond.
    const wall = at.wall + BigInt(reported % 1_000_000)
    const namespace = regarding.namespace ?? 'default'
    const body = JSON.stringify(printEvent(regarding, event, namespace, nodeName, wall))
    sending = sendAfter(sending, `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, body)
  }
  const sendAfter = async (earlier: Promise<void>, path: string, body: string): Promise<void> => {
    await earlier
    try {
      await post(path, body)
    } catch (error) {
      log.warn('an Event could not be sent', { path, error })
    } finally {
      waiting -= 1
    }
  }
  const failedStart = (reason: string, error: Error): void => {
    report(node, { type: 'Warning', reason, action: 'StartKubeProxy', note: describeError(error) })
  }
  return {
    starting: () => report(node, { type: 'Normal', reason: 'Starting', action: 'StartKubeProxy', note: '' }),
    ipvsDeprecated: (note) =>
      report(node, { type: 'Warning', reason: 'IPVSDeprecation', action: 'StartKubeProxy', note }),
    healthServerFailed: (error) => failedStart('FailedToStartProxierHealthcheck', error),
    metricsServerFailed: (error) => failedStart('FailedToStartMetricServer', error),
    serviceHealthCheckFailed: (service, port, error) => {
      const [namespace = '', name = ''] = service.split('/')
      const note = `node ${nodeName} can't open health check port ${port} of ${service}: ${describeError(error)}`
      report(
        { kind: 'Service', namespace, name, uid: service, apiVersion: 'v1' },
        { type: 'Warning', reason: 'FailedToStartServiceHealthcheck', action: 'Listen', note },
      )
    },
    flush: () => sending,
  }
}

function printEvent(regarding: Regarding, event: Report, namespace: string, nodeName: string, wall: bigint): object {
  return {
    kind: 'Event',
    apiVersion: 'events.k8s.io/v1',
    metadata: { name: `${regarding.name}.${wall.toString(16)}`, namespace },
    eventTime: formatMicroTime(wall),
    reportingController: CONTROLLER,
    reportingInstance: `${CONTROLLER}-${nodeName}`.slice(0, LONGEST_INSTANCE),
    action: event.action,
    reason: event.reason,
    regarding,
    ...(event.note !== '' && { note: event.note.slice(0, LONGEST_NOTE) }),
    type: event.type,
  }
}

/** Kubernetes' MicroTime always has six digits. */
function formatMicroTime(wall: bigint): string {
  const nanoseconds = wall % 1_000_000_000n
  const micro = (nanoseconds / 1000n).toString().padStart(6, '0')
  return formatRfc3339(wall - nanoseconds, 0).replace('Z', `.${micro}Z`)
}
