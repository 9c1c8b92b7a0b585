// Checks of what serves: are there endpoints for every port and family, can they serve, and do they match the Pods.
import type { Family } from '../model/address.ts'
import type { Endpoint } from '../model/service-port.ts'
import type { Finding } from './finding.ts'
import { type Check, onePerPort, onService, type PortView, portTitle, type Subject } from './subject.ts'
import { count, familyName, join } from './words.ts'

/** Endpoints are matched by the port's name and protocol, never by its number. */
export const slicePortMismatch: Check = (subject) =>
  onePerPort(subject.ports.filter((view) => view.endpoints.length === 0)).flatMap((view) => {
    const slices = subject.slices.filter(({ family, endpoints }) => family === view.family && endpoints.length > 0)
    if (slices.length === 0 || !subject.hasSlices) return []
    const { name, protocol } = view.written
    const offered = [
      ...new Set(
        slices.flatMap(({ ports }) =>
          ports.map((port) => `${port.name === '' ? '(no name)' : port.name} ${port.port}/${port.protocol}`),
        ),
      ),
    ]
    const has = offered.length === 0 ? 'they have no ports' : `they have ${join(offered)}`
    const means = `No EndpointSlice has a port ${name === '' ? 'without name' : `named ${name}`} with protocol ${protocol.toUpperCase()}, so ${portTitle(view.written)} has no endpoints; ${has}.`
    const advice =
      'Give the port the same name and protocol in the Service and in its slices (an unnamed port needs name: "" in both).'
    return [onService(subject, 'slice-port-mismatch', 'error', `spec.ports[${view.index}].name`, means, advice)]
  })

export const noEndpoints: Check = (subject) => {
  const empty = subject.ports.filter(({ endpoints }) => endpoints.length === 0)
  const [first] = empty
  if (first === undefined) return []
  const field = subject.hasSlices ? 'endpoints' : undefined
  if (empty.length === subject.ports.length) {
    const where = subject.hasSlices
      ? subject.slices.some(({ endpoints }) => endpoints.length > 0)
        ? ' Its EndpointSlices hold none for its ports.'
        : ' Its EndpointSlices hold none.'
      : subject.slices.length > 0
        ? ''
        : ' It has no EndpointSlices.'
    const means = `The Service has no endpoints at all, and nodes refuse connections to it.${where}`
    const advice =
      subject.pods === undefined && subject.written.selector !== undefined
        ? 'See which Pods the selector matches: kubectl get pods -l, or give the Pods to this command too.'
        : 'See to at least one ready endpoint.'
    return [onService(subject, 'no-endpoints', 'error', field, means, advice)]
  }
  return [...withoutFamily(subject, empty), ...withoutPort(subject, empty)]
}

/** One family of a dual-stack Service has nobody. */
function withoutFamily(subject: Subject, empty: readonly PortView[]): readonly Finding[] {
  const families = [...new Set(empty.map(({ family }) => family))]
  return families
    .filter((family) => lacksFamily(subject, family))
    .map((family) => {
      const name = familyName(family)
      const means = `The Service has an ${name} address and no ${name} endpoints: ${name} clients are refused, and others are not.`
      const advice = `Give the Pods ${name} addresses (a dual-stack pod network), or take the family out of spec.ipFamilies.`
      return onService(subject, 'family-without-endpoints', 'error', 'spec.ipFamilies', means, advice)
    })
}

function withoutPort(subject: Subject, empty: readonly PortView[]): readonly Finding[] {
  return onePerPort(empty.filter(({ family }) => !lacksFamily(subject, family))).map((view) => {
    const means = `${portTitle(view.written)} has no endpoints, while other ports have: connections to it are refused.`
    return onService(
      subject,
      'port-without-endpoints',
      'error',
      `spec.ports[${view.index}]`,
      means,
      'See to Pods or slices with this port.',
    )
  })
}

function lacksFamily({ ports }: Subject, family: Family): boolean {
  return ports.every((view) => view.family !== family || view.endpoints.length === 0)
}

export const noneReady: Check = (subject) =>
  onePerPort(subject.ports.filter(({ endpoints }) => endpoints.length > 0 && !endpoints.some(isUsable))).map((view) => {
    const states = describeStates(view.endpoints)
    const means = `${portTitle(view.written)} has ${count(view.endpoints.length, `${familyName(view.family)} endpoint`)} and none that can serve (${states}), so connections are refused.`
    return onService(
      subject,
      'none-ready',
      'error',
      `spec.ports[${view.index}]`,
      means,
      'Make a Pod ready: see its readiness probe and its events.',
    )
  })

export const onlyTerminating: Check = (subject) =>
  onePerPort(
    subject.ports.filter(({ endpoints }) => endpoints.some(isUsable) && !endpoints.some(({ ready }) => ready)),
  ).map((view) => {
    const means = `${portTitle(view.written)} is served only by endpoints that are terminating, as a last resort: when they end, nobody is left.`
    return onService(
      subject,
      'only-terminating',
      'warning',
      `spec.ports[${view.index}]`,
      means,
      'See why no new Pod gets ready.',
    )
  })

/** Where Pods are known, they tell more. */
export const someNotReady: Check = (subject) => {
  if (subject.pods !== undefined) return []
  const isIdle = ({ ready, terminating }: Endpoint) => !ready && !terminating
  const partly = subject.ports.filter(({ endpoints }) => endpoints.some(isIdle) && endpoints.some(({ ready }) => ready))
  return onePerPort(partly).map((view) => {
    const idle = view.endpoints.filter(isIdle)
    const means = `${count(idle.length, 'endpoint')} of ${view.endpoints.length} of ${portTitle(view.written)} ${idle.length === 1 ? 'is' : 'are'} not ready and ${idle.length === 1 ? 'gets' : 'get'} no traffic: ${join(idle.map(({ text }) => text))}.`
    const field = `spec.ports[${view.index}]`
    return onService(subject, 'some-not-ready', 'warning', field, means, 'See the readiness probes of these Pods.')
  })
}

/** The slices of a Service with a selector are made from its Pods; where they differ, the controller is behind. */
export const slicesDifferFromPods: Check = (subject) => {
  const { pods, hasSlices, slices, service, cluster } = subject
  if (pods === undefined || pods.length === 0 || !hasSlices || service === undefined) return []
  const known = new Set(pods.flatMap(({ ips }) => ips))
  const listed = new Set(slices.flatMap(({ endpoints }) => endpoints.map(({ ip }) => ip)))
  const gone = slices.flatMap(({ endpoints }) =>
    endpoints.filter(({ ip, ready }) => ready && !known.has(ip)).map(({ ip }) => ip),
  )
  const families = new Set(slices.map(({ family }) => family))
  const absent = pods.filter(
    ({ ready, terminating, ips }) =>
      ready &&
      !terminating &&
      !ips.some((ip) => listed.has(ip)) &&
      (families.size === 0 || ips.some((ip) => families.has(ip.includes(':') ? 'ipv6' : 'ipv4'))),
  )
  const advice =
    'See that kube-controller-manager runs and makes EndpointSlices; slices made by hand must be kept by hand.'
  // In manifests, a Pod may just not have been given.
  const found: Finding[] = []
  if (gone.length > 0) {
    const means = `Its EndpointSlices list ${join([...new Set(gone)])}, which no Pod of the Service has: connections sent there get no answer.`
    found.push(onService(subject, 'stale-endpoint', cluster.complete ? 'error' : 'warning', undefined, means, advice))
  }
  if (absent.length > 0) {
    const means = `${count(absent.length, 'Pod')} of it ${absent.length === 1 ? 'is' : 'are'} ready and in no EndpointSlice, and ${absent.length === 1 ? 'gets' : 'get'} no traffic: ${join(absent.map(({ name }) => name))}.`
    found.push(onService(subject, 'pod-not-in-slices', 'warning', undefined, means, advice))
  }
  return found
}

/** A packet is rewritten once: rules do not lead from one Service to another. */
export const endpointIsService: Check = (subject) => {
  const { slices, cluster, written } = subject
  const led = slices.flatMap(({ name, endpoints }) =>
    endpoints.flatMap(({ ip }, index) => {
      const owner = cluster.clusterIPs.get(ip)
      return owner === undefined ? [] : [{ name, index, ip, owner }]
    }),
  )
  return led.map(({ name, index, ip, owner }) => ({
    severity: 'error' as const,
    check: 'endpoint-is-service',
    at: { object: `EndpointSlice ${written.namespace}/${name}`, field: `endpoints[${index}].addresses` },
    means: `${ip} is the cluster IP of Service ${owner}: a packet is rewritten only once, so what is sent there is lost.`,
    advice: 'List the addresses of the Pods, or make an ExternalName Service that names the other one.',
  }))
}

function isUsable({ ready, serving, terminating }: Endpoint): boolean {
  return ready || (serving && terminating)
}

function describeStates(endpoints: readonly Endpoint[]): string {
  const ending = endpoints.filter(({ terminating }) => terminating).length
  const parts = [
    ...(endpoints.length > ending ? [`${endpoints.length - ending} not ready`] : []),
    ...(ending > 0 ? [`${ending} terminating and no longer serving`] : []),
  ]
  return parts.join(', ')
}
