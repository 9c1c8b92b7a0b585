// Checks of the Pods behind a Service: does the selector match any, and why is one of them not serving.
import type { Finding, FindingSeverity } from './finding.ts'
import type { ContainerState, PodContainer, PodObject } from './pod-object.ts'
import type { ServiceObject } from './service-object.ts'
import { type Check, onService, type Subject } from './subject.ts'
import { count, join, showLabels } from './words.ts'

const MOST_PODS = 5

export const selectorMatchesNone: Check = (subject) => {
  const { written, pods, slices, cluster } = subject
  if (pods === undefined || pods.length > 0 || written.selector === undefined || written.type === 'ExternalName')
    return []
  const served = slices.some(({ endpoints }) => endpoints.some(({ ready }) => ready))
  // In manifests the Pods of this Service may just not have been given.
  if (served && !cluster.complete) return []
  const means = `No Pod of namespace ${written.namespace} has the labels ${showLabels(written.selector)}${served ? ', though its EndpointSlices still list some' : ', so there is nobody to serve'}.`
  const advice =
    nearMiss(written, subject) ??
    `Correct the selector, or the labels of the Pods (kubectl get pods -n ${written.namespace} --show-labels).`
  return [onService(subject, 'selector-matches-no-pod', 'error', 'spec.selector', means, advice)]
}

/** Pods that have all but one of the labels, or all of them in another namespace. */
function nearMiss({ selector = {}, namespace }: ServiceObject, { cluster }: Subject): string | undefined {
  const wanted = Object.entries(selector)
  const lacks = (pod: PodObject) => wanted.filter(([label, value]) => pod.labels[label] !== value)
  const here = cluster.podsByNamespace.get(namespace) ?? []
  const elsewhere = [...cluster.podsByNamespace].find(
    ([space, pods]) => space !== namespace && pods.some((pod) => lacks(pod).length === 0),
  )
  if (elsewhere !== undefined) {
    return `Pods with these labels are in namespace ${elsewhere[0]}: a Service selects only Pods of its own namespace, so put it there.`
  }
  const near = here.filter((pod) => {
    const missing = lacks(pod)
    return missing.length === 1 && (wanted.length > 1 || missing.some(([label]) => pod.labels[label] !== undefined))
  })
  const [pod] = near
  const [label = '', value = ''] = pod === undefined ? [] : (lacks(pod)[0] ?? [])
  if (pod === undefined) return undefined
  const has = pod.labels[label] === undefined ? `no label ${label}` : `${label}=${pod.labels[label]}`
  return `Pod ${pod.key}${near.length > 1 ? ` and ${near.length - 1} more have` : ' has'} ${has} where the selector asks for ${label}=${value}: correct one of them.`
}

/** One finding for each Pod that does not serve, the first few; as an error when no Pod serves at all. */
export const podsNotServing: Check = (subject) => {
  const { pods, written } = subject
  if (pods === undefined || written.type === 'ExternalName') return []
  const idle = pods.filter((pod) => !pod.ready && !hasEnded(pod) && !pod.terminating)
  const anyServes = pods.some((pod) => pod.ready && !pod.terminating)
  // Its addresses are handed out whatever the Pods say.
  const severity: FindingSeverity = written.publishNotReady ? 'notice' : anyServes ? 'warning' : 'error'
  const found = idle.slice(0, MOST_PODS).map((pod) => podFinding(pod, severity))
  const more = idle.length - found.length
  if (more === 0) return found
  const means = `${count(more, 'further Pod')} of it ${more === 1 ? 'does' : 'do'} not serve.`
  return [
    ...found,
    onService(subject, 'more-pods-not-ready', severity, 'spec.selector', means, 'See kubectl get pods.'),
  ]
}

export const podsEnded: Check = (subject) => {
  const { pods = [], written } = subject
  const ended = pods.filter(hasEnded)
  if (ended.length === 0 || written.type === 'ExternalName') return []
  const alone = ended.length === pods.length
  const reasons = join(ended.map(({ name, phase, reason }) => `${name} (${reason ?? phase})`))
  const means = `${count(ended.length, 'Pod')} that it selects ${ended.length === 1 ? 'has' : 'have'} ended and ${ended.length === 1 ? 'counts' : 'count'} for nothing: ${reasons}.`
  const advice = alone ? 'Select Pods that keep running, such as those of a Deployment.' : undefined
  return [onService(subject, 'pods-ended', alone ? 'error' : 'notice', 'spec.selector', means, advice)]
}

export const podsTerminating: Check = (subject) => {
  const { pods = [], written } = subject
  const going = pods.filter(({ terminating }) => terminating)
  if (going.length === 0 || written.type === 'ExternalName') return []
  const alone = going.length === pods.length
  const means = `${count(going.length, 'Pod')} that it selects ${going.length === 1 ? 'is' : 'are'} terminating${alone ? ', and there is no other' : ''}: ${join(going.map(({ name }) => name))}.`
  const advice = alone
    ? 'See why nothing takes their place: the replicas of the Deployment, and its events.'
    : undefined
  return [onService(subject, 'pods-terminating', alone ? 'warning' : 'notice', 'spec.selector', means, advice)]
}

export const notReadyPublished: Check = (subject) => {
  const { written, pods = [] } = subject
  const idle = pods.filter(({ ready }) => !ready).length
  if (!written.publishNotReady) return []
  const means = `publishNotReadyAddresses hands out Pods before they are ready${idle > 0 ? `; ${count(idle, 'Pod')} of ${pods.length} ${idle === 1 ? 'is' : 'are'} not ready now, and clients are sent there` : ''}.`
  const severity = idle > 0 && written.clusterIP !== 'None' ? 'warning' : 'notice'
  return [
    onService(
      subject,
      'not-ready-published',
      severity,
      'spec.publishNotReadyAddresses',
      means,
      'Leave it out unless the Pods must find each other while they start.',
    ),
  ]
}

function hasEnded({ phase }: PodObject): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}

function podFinding(pod: PodObject, severity: FindingSeverity): Finding {
  const at = (field: string) => ({ object: `Pod ${pod.key}`, field })
  const events = `kubectl describe pod ${pod.name} -n ${pod.namespace}`
  const scheduled = pod.conditions.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False') {
    const why = scheduled.message ?? scheduled.reason ?? 'no reason is given'
    const means = `The Pod has no node: ${why.replace(/\.$/, '')}.`
    return {
      severity,
      check: 'pod-unscheduled',
      at: at('status.conditions'),
      means,
      advice: `Make room for it, or correct its requests, node selector or tolerations (${events}).`,
    }
  }
  const stopped = pod.containers.find(({ state }) => state?.stopped !== undefined)
  if (stopped?.state?.stopped !== undefined) {
    const restarts = stopped.state.restarts > 0 ? ` after ${count(stopped.state.restarts, 'restart')}` : ''
    const means = `Container ${stopped.name} does not run: ${stopped.state.stopped}${restarts}.`
    return {
      severity,
      check: 'container-stopped',
      at: at('status.containerStatuses'),
      means,
      advice: adviceFor(stopped.state.stopped, pod, stopped),
    }
  }
  const gate = pod.readinessGates.find(
    (wanted) => !pod.conditions.some(({ type, status }) => type === wanted && status === 'True'),
  )
  const containers = pod.containers.filter(({ state }) => state !== undefined && !state.ready)
  if (gate !== undefined && containers.length === 0) {
    const means = `The Pod waits for its readiness gate: condition ${gate} is not True.`
    return {
      severity,
      check: 'readiness-gate',
      at: at('status.conditions'),
      means,
      advice: `See to the controller that sets ${gate}, or remove the gate from spec.readinessGates.`,
    }
  }
  if (pod.ips.length === 0 && pod.phase !== '') {
    const means = `The Pod is ${pod.phase} and has no IP address yet.`
    return {
      severity,
      check: 'pod-without-ip',
      at: at('status.podIP'),
      means,
      advice: `See its events (${events}): a missing image, volume or pod network.`,
    }
  }
  const [container] = containers
  return container?.state === undefined
    ? unexplained(pod, severity, events)
    : probeFinding(pod, container, container.state, severity, events)
}

function probeFinding(
  pod: PodObject,
  container: PodContainer,
  state: ContainerState,
  severity: FindingSeverity,
  events: string,
): Finding {
  const object = `Pod ${pod.key}`
  const index = pod.containers.indexOf(container)
  if (state.starting) {
    const means = `Container ${container.name} is starting: its startup probe has not succeeded yet.`
    return {
      severity,
      check: 'startup-probe',
      at: { object, field: 'status.containerStatuses' },
      means,
      advice: `Wait, or see why the probe fails (${events}).`,
    }
  }
  const probe = container.readinessProbe
  const field = `spec.containers[${index}].readinessProbe`
  if (probe === undefined) {
    const means = `Container ${container.name} runs and is not ready.`
    return {
      severity,
      check: 'container-not-ready',
      at: { object, field: 'status.containerStatuses' },
      means,
      advice: `See its events (${events}).`,
    }
  }
  if (typeof probe.port === 'string' && !container.ports.some(({ name }) => name === probe.port)) {
    const means = `The readiness probe asks for port ${probe.port}, and container ${container.name} has no port of that name, so it never succeeds.`
    return {
      severity,
      check: 'probe-port-missing',
      at: { object, field },
      means,
      advice: 'Name a port of the container, or give the number.',
    }
  }
  const asked = `${probe.does}${probe.port === undefined ? '' : ` on port ${probe.port}`}`
  const means = `Container ${container.name} runs and is not ready: its readiness probe (${asked}) does not succeed.`
  return {
    severity,
    check: 'readiness-probe',
    at: { object, field },
    means,
    advice: `Ask it by hand from its node or a Pod, and see the events (${events}).`,
  }
}

function unexplained(pod: PodObject, severity: FindingSeverity, events: string): Finding {
  const ready = pod.conditions.find(({ type }) => type === 'Ready')
  const why = ready?.message ?? ready?.reason
  const means = `The Pod is not ready${why === undefined ? '' : ` (${why})`}${pod.phase === '' ? ': its status says nothing yet' : ''}.`
  return {
    severity,
    check: 'pod-not-ready',
    at: { object: `Pod ${pod.key}`, field: 'status.conditions' },
    means,
    advice: `See its events (${events}).`,
  }
}

function adviceFor(reason: string, pod: PodObject, { name }: PodContainer): string {
  if (/ImagePull|ErrImage|InvalidImage/.test(reason)) return 'Correct the image, its tag, or the pull secret.'
  if (/CreateContainer/.test(reason)) return 'See to the ConfigMaps, Secrets and volumes that the container names.'
  if (reason === 'ContainerCreating' || reason === 'PodInitializing')
    return `See its events (kubectl describe pod ${pod.name} -n ${pod.namespace}).`
  return `Read why it ended: kubectl logs ${pod.name} -n ${pod.namespace} -c ${name} --previous.`
}
