// A Pod as far as it tells why a Service does or does not reach it. More than src/kube/manifests/pod-schema.ts reads, which is
// what endpoints are made from.
import { type Ip, parseIp } from '../model/address.ts'
import { type ObjectKey, objectKey, type Protocol } from '../model/object-name.ts'
import { fieldAt, listAt, numberAt, textAt, textMapAt } from './raw-fields.ts'
import { readProtocol } from './service-object.ts'

export interface PodObject {
  readonly key: ObjectKey
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** `Running`, `Pending`, ...; empty when nobody has said. */
  readonly phase: string
  /** Why it is in this phase, as its status has it: `Evicted`. */
  readonly reason?: string
  /** None of a Pod that has ended. */
  readonly ips: readonly Ip[]
  readonly nodeName?: string
  readonly hostNetwork: boolean
  readonly terminating: boolean
  /** Its Ready condition is True. */
  readonly ready: boolean
  readonly conditions: readonly PodCondition[]
  readonly readinessGates: readonly string[]
  /** Sidecars included. */
  readonly containers: readonly PodContainer[]
}

export interface PodCondition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}

export interface PodContainer {
  readonly name: string
  readonly ports: readonly ContainerPort[]
  readonly readinessProbe?: Probe
  /** What its status says; absent when there is none yet. */
  readonly state?: ContainerState
}

export interface ContainerPort {
  /** Empty for an unnamed port. */
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
}

export interface Probe {
  /** `HTTP GET /healthz` */
  readonly does: string
  readonly port?: number | string
}

export interface ContainerState {
  readonly ready: boolean
  readonly restarts: number
  /** `CrashLoopBackOff`, `ImagePullBackOff`, `Completed`; absent while it runs. */
  readonly stopped?: string
  /** Its startup probe has not succeeded yet. */
  readonly starting: boolean
}

/** Undefined for an object without a name. */
export function readPodObject(value: unknown): PodObject | undefined {
  const name = textAt(value, 'metadata', 'name')
  if (name === undefined) return undefined
  const namespace = textAt(value, 'metadata', 'namespace') ?? 'default'
  const spec = fieldAt(value, 'spec')
  const status = fieldAt(value, 'status')
  const conditions = listAt(status, 'conditions').map(readCondition)
  const phase = textAt(status, 'phase') ?? ''
  const reason = textAt(status, 'reason')
  const nodeName = textAt(spec, 'nodeName')
  const ended = phase === 'Succeeded' || phase === 'Failed'
  return {
    key: objectKey(namespace, name),
    namespace,
    name,
    labels: textMapAt(value, 'metadata', 'labels'),
    phase,
    ...(reason !== undefined && { reason }),
    ips: ended ? [] : readAddresses(status),
    ...(nodeName !== undefined && { nodeName }),
    hostNetwork: fieldAt(spec, 'hostNetwork') === true,
    terminating: textAt(value, 'metadata', 'deletionTimestamp') !== undefined,
    ready: conditions.some(({ type, status: held }) => type === 'Ready' && held === 'True'),
    conditions,
    readinessGates: listAt(spec, 'readinessGates').flatMap((gate) => textAt(gate, 'conditionType') ?? []),
    containers: readContainers(spec, status),
  }
}

function readAddresses(status: unknown): readonly Ip[] {
  const listed = listAt(status, 'podIPs').map((item) => textAt(item, 'ip'))
  const all = [textAt(status, 'podIP'), ...listed].flatMap((text) => (text && parseIp(text)) || [])
  return [...new Set(all)]
}

function readCondition(value: unknown): PodCondition {
  const reason = textAt(value, 'reason')
  const message = textAt(value, 'message')
  return {
    type: textAt(value, 'type') ?? '',
    status: textAt(value, 'status') ?? '',
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
  }
}

function readContainers(spec: unknown, status: unknown): readonly PodContainer[] {
  const sidecars = listAt(spec, 'initContainers').filter((value) => textAt(value, 'restartPolicy') === 'Always')
  const states = [...listAt(status, 'containerStatuses'), ...listAt(status, 'initContainerStatuses')]
  return [...listAt(spec, 'containers'), ...sidecars].map((value) => {
    const name = textAt(value, 'name') ?? ''
    const found = states.find((state) => textAt(state, 'name') === name)
    const probe = readProbe(fieldAt(value, 'readinessProbe'))
    return {
      name,
      ports: listAt(value, 'ports').flatMap(readContainerPort),
      ...(probe && { readinessProbe: probe }),
      ...(found !== undefined && { state: readState(found) }),
    }
  })
}

function readContainerPort(value: unknown): readonly ContainerPort[] {
  const port = numberAt(value, 'containerPort')
  return port === undefined ? [] : [{ name: textAt(value, 'name') ?? '', protocol: readProtocol(value), port }]
}

function readState(value: unknown): ContainerState {
  const stopped = textAt(value, 'state', 'waiting', 'reason') ?? textAt(value, 'state', 'terminated', 'reason')
  return {
    ready: fieldAt(value, 'ready') === true,
    restarts: numberAt(value, 'restartCount') ?? 0,
    ...(stopped !== undefined && { stopped }),
    starting: stopped === undefined && fieldAt(value, 'started') === false,
  }
}

/** https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/ */
function readProbe(value: unknown): Probe | undefined {
  const kinds = [
    ['httpGet', `${textAt(value, 'httpGet', 'scheme') ?? 'HTTP'} GET ${textAt(value, 'httpGet', 'path') ?? '/'}`],
    ['tcpSocket', 'TCP connect'],
    ['grpc', 'gRPC health check'],
    ['exec', `command ${listAt(value, 'exec', 'command').join(' ')}`],
  ] as const
  const kind = kinds.find(([field]) => fieldAt(value, field) !== undefined)
  if (kind === undefined) return undefined
  const [field, does] = kind
  const port = numberAt(value, field, 'port') ?? textAt(value, field, 'port')
  return { does, ...(port !== undefined && { port }) }
}
