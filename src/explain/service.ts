// Checks of the Service object by itself: does it have an address that anybody can connect to at all.
import { FAMILIES, familyOfIp, parseIp } from '../model/address.ts'
import type { StraySlice } from './cluster.ts'
import type { Finding } from './finding.ts'
import { type Check, onService, portTitle, type Subject } from './subject.ts'
import { count, join } from './words.ts'

/** What could not be read of the Service or its slices was left out, here and on the node. */
export const unreadable: Check = ({ cluster, written }) =>
  (cluster.issues.get(written.key) ?? []).map(
    ({ at, message }): Finding => ({
      severity: 'error',
      check: 'unreadable',
      at: { object: at.object ?? `Service ${written.key}`, ...(at.field !== undefined && { field: at.field }) },
      means: `${message}.`,
      advice: 'Correct the field: until then it has no effect.',
    }),
  )

export const beingDeleted: Check = (subject) =>
  subject.written.deleting
    ? [
        onService(
          subject,
          'being-deleted',
          'warning',
          'metadata.deletionTimestamp',
          'The Service is being deleted, and goes away as soon as its finalizers are done.',
          'Create it again if it is still needed; look at metadata.finalizers if it does not go away.',
        ),
      ]
    : []

/** Only names, no address: https://kubernetes.io/docs/concepts/services-networking/service/#externalname */
export const externalName: Check = (subject) => {
  const { type, externalName: target, ports, selector } = subject.written
  if (type !== 'ExternalName') return []
  const at = 'spec.externalName'
  if (target === undefined) {
    const means = 'The Service is of type ExternalName and names nothing, so its DNS name resolves to nothing.'
    return [onService(subject, 'external-name-missing', 'error', at, means, 'Set it to the DNS name to lead to.')]
  }
  if (parseIp(target) !== undefined) {
    const means = `${target} is an IP address, and DNS answers with it as if it were a name, which resolves to nothing.`
    const advice = 'For an address, make a Service without selector, and an EndpointSlice that holds it.'
    return [onService(subject, 'external-name-is-address', 'error', at, means, advice)]
  }
  const ignored = [...(ports.length > 0 ? ['ports'] : []), ...(selector === undefined ? [] : ['selector'])]
  const also =
    ignored.length === 0
      ? ''
      : ` Its ${ignored.join(' and ')} ${ignored.length > 1 || ignored[0] === 'ports' ? 'have' : 'has'} no effect.`
  const means = `ExternalName is an alias in DNS (CNAME ${target}) and has no virtual IP: no proxy and no port of it is in the way.${also}`
  const advice = `Look ${target} up from a Pod; HTTP and TLS servers there must know the name that the client asks for.`
  return [onService(subject, 'external-name', selector === undefined ? 'notice' : 'warning', at, means, advice)]
}

/** https://kubernetes.io/docs/concepts/services-networking/service/#headless-services */
export const headless: Check = (subject) => {
  const { written, slices, pods } = subject
  if (written.clusterIP !== 'None' || written.type === 'ExternalName') return []
  const fromSlices = slices.flatMap(({ endpoints }) => endpoints.filter(({ ready }) => ready).map(({ ip }) => ip))
  const fromPods = (pods ?? []).filter(({ ready, terminating }) => (ready && !terminating) || written.publishNotReady)
  const addresses = [...new Set(slices.length > 0 ? fromSlices : fromPods.flatMap(({ ips }) => ips))].toSorted()
  const resolves =
    addresses.length > 0
      ? `its DNS name resolves to ${join(addresses)}`
      : slices.length > 0 || pods !== undefined
        ? 'its DNS name resolves to nothing now'
        : 'its DNS name resolves to the addresses of its ready Pods, which the input does not show'
  const empty = addresses.length === 0 && (slices.length > 0 || pods !== undefined)
  const means = `The Service is headless: it has no virtual IP, ${resolves}.`
  const advice = empty
    ? 'See to a ready Pod that its selector matches, or give it a cluster IP if one address is wanted.'
    : 'Clients connect to these addresses themselves; a cluster IP takes a new Service without clusterIP: None.'
  const found = [onService(subject, 'headless', empty ? 'error' : 'notice', 'spec.clusterIP', means, advice)]
  return [...found, ...mappedPorts(subject), ...headlessNodePorts(subject)]
}

function mappedPorts(subject: Subject): readonly Finding[] {
  return subject.written.ports.flatMap((port, index) => {
    if (port.targetPort === port.port) return []
    const means = `A headless Service maps no ports: clients must connect to the Pod's own port ${port.targetPort}, not to ${port.port}.`
    const advice = `Connect to ${port.targetPort}, or make both the same, or give the Service a cluster IP.`
    const severity = typeof port.targetPort === 'number' ? 'warning' : 'notice'
    return [onService(subject, 'headless-maps-no-ports', severity, `spec.ports[${index}].targetPort`, means, advice)]
  })
}

function headlessNodePorts(subject: Subject): readonly Finding[] {
  if (subject.written.type === 'ClusterIP') return []
  const means = `A headless Service has no rules, so type ${subject.written.type} gives it no node port and no load balancer.`
  const advice = 'Leave clusterIP: None out of a new Service.'
  return [onService(subject, 'headless-type', 'error', 'spec.type', means, advice)]
}

export const noClusterIP: Check = (subject) => {
  const { written } = subject
  if (written.type === 'ExternalName' || written.clusterIP !== '') return []
  const means = 'The Service has no cluster IP yet, so no node has rules for it.'
  const advice =
    'Apply it and give what the cluster stores (kubectl get service -o yaml); if it is empty there too, the range of Service addresses may be used up.'
  return [onService(subject, 'no-cluster-ip', 'error', 'spec.clusterIP', means, advice)]
}

export const noPorts: Check = (subject) => {
  if (subject.written.ports.length > 0 || subject.service === undefined || subject.written.type === 'ExternalName')
    return []
  if (subject.written.clusterIP === 'None') return []
  const means = 'The Service has no ports, so nothing answers on its address.'
  return [onService(subject, 'no-ports', 'error', 'spec.ports', means, 'Add the ports that clients connect to.')]
}

/** The API server refuses both; manifests can hold them. */
export const clashingPorts: Check = (subject) => {
  const { ports } = subject.written
  return ports.flatMap((port, index) => {
    const sameName = ports.findIndex((other) => other.name === port.name && other.protocol === port.protocol)
    const samePort = ports.findIndex((other) => other.port === port.port && other.protocol === port.protocol)
    const earlier = Math.min(sameName, samePort)
    if (earlier >= index) return []
    const what = sameName < index ? 'name and protocol' : 'number and protocol'
    const means = `spec.ports[${earlier}] has the same ${what}, and only one of the two can have an effect.`
    const advice = 'Give each port of a Service a name and a number of its own.'
    return [onService(subject, 'clashing-ports', 'error', `spec.ports[${index}]`, means, advice)]
  })
}

export const loadBalancerPending: Check = (subject) => {
  const { type, ingress, ports, loadBalancerClass } = subject.written
  if (type !== 'LoadBalancer' || ingress.length > 0) return []
  const nodePorts = ports.flatMap(({ nodePort }) => nodePort ?? [])
  const instead = nodePorts.length === 0 ? '' : `; meanwhile its node ports answer (${join(nodePorts.map(String))})`
  const means = `No load balancer has given the Service an address, so there is none to connect to from outside${instead}.`
  const who =
    loadBalancerClass === undefined
      ? 'a cloud controller or one such as MetalLB'
      : `the controller of class ${loadBalancerClass}`
  const advice = `See whether ${who} runs in this cluster, and what its events say (kubectl describe service).`
  return [onService(subject, 'load-balancer-pending', 'warning', 'status.loadBalancer', means, advice)]
}

/** Entries of the load balancer that nodes have no rules for. */
export const ingressElsewhere: Check = (subject) =>
  subject.written.ingress.flatMap((entry, index) => {
    const field = `status.loadBalancer.ingress[${index}]`
    const ip = entry.ip === undefined ? undefined : parseIp(entry.ip)
    if (entry.ip === undefined && entry.hostname !== undefined) {
      const means = `The load balancer is known by name (${entry.hostname}): nodes have no rules for it, and Pods reach it as clients outside do.`
      return [onService(subject, 'ingress-by-name', 'notice', field, means)]
    }
    if (ip !== undefined && entry.ipMode !== undefined && entry.ipMode !== 'VIP') {
      const means = `ipMode is ${entry.ipMode}: nodes have no rules for ${ip}, and even Pods go by way of the load balancer.`
      return [onService(subject, 'ingress-mode', 'notice', `${field}.ipMode`, means)]
    }
    if (ip === undefined || subject.service === undefined || subject.service.clusterIPs[familyOfIp(ip)] !== undefined)
      return []
    const families = FAMILIES.filter((family) => subject.service?.clusterIPs[family] !== undefined)
    if (families.length === 0) return []
    const means = `${ip} is of a family that the Service has no cluster IP of, so nodes have no rules for it: it works only if the load balancer itself turns it into the other family.`
    const advice = `Set spec.ipFamilyPolicy to PreferDualStack, or have the load balancer use ${families.join(' and ')}.`
    return [onService(subject, 'ingress-family', 'warning', `${field}.ip`, means, advice)]
  })

/** Nobody makes EndpointSlices for a Service without selector. */
export const noSelector: Check = (subject) => {
  const { written, service, slices, cluster } = subject
  if (written.selector !== undefined || service === undefined || slices.length > 0) return []
  if (written.type === 'ExternalName') return []
  const stray = cluster.straySlices.filter(
    (slice) =>
      slice.namespace === written.namespace && (slice.service === undefined || slice.name.startsWith(written.name)),
  )
  const near =
    stray.length === 0
      ? ''
      : ` ${count(stray.length, 'EndpointSlice')} of this namespace ${stray.length === 1 ? 'belongs' : 'belong'} to no Service: ${join(stray.map(describeStray))}.`
  const means = `The Service has no selector, so nobody makes EndpointSlices for it, and it has none.${near}`
  const advice = `Add a selector, or an EndpointSlice with the label kubernetes.io/service-name: ${written.name}.`
  return [onService(subject, 'no-selector', 'error', 'spec.selector', means, advice)]
}

function describeStray({ name, service }: StraySlice): string {
  return service === undefined ? `${name} (no label)` : `${name} (label ${service})`
}

/** A slice whose port has the right number and another name leads nowhere, so names matter more than they seem to. */
export const namelessPorts: Check = (subject) => {
  const { ports } = subject.written
  const first = ports.find(({ name }) => name === '')
  if (first === undefined || ports.length < 2) return []
  const means = `${portTitle(first)} has no name, and of several ports each needs one.`
  return [onService(subject, 'nameless-port', 'error', 'spec.ports', means, 'Name every port of the Service.')]
}
