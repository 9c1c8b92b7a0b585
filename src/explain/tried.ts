// Checks of what somebody tried (`--to`): an address and port that this Service does not answer on, and why.
import { familyOfIp, isLoopback } from '../model/address.ts'
import { servedNodeAddresses } from './addresses.ts'
import type { Finding } from './finding.ts'
import { isIpvs } from './ipvs.ts'
import { type Check, isServed, onService, type Subject } from './subject.ts'
import type { Tried } from './viewpoint.ts'
import { join } from './words.ts'

/** Compares what was tried with every address of the Service. */
export const triedDestination: Check = (subject) => {
  const { tried } = subject.view
  if (tried === undefined || !isServed(subject)) return []
  const place = placeOf(subject, tried)
  switch (place) {
    case 'virtual':
      return tried.port === undefined ? [ping(subject, tried)] : virtualPort(subject, tried, tried.port)
    case 'node':
      return tried.port === undefined ? [] : nodeAddress(subject, tried, tried.port)
    case 'endpoint':
      return tried.port === undefined ? [] : endpointPort(subject, tried, tried.port)
    case 'elsewhere':
      return [elsewhere(subject, tried)]
    default:
      return place satisfies never
  }
}

type Place = 'virtual' | 'node' | 'endpoint' | 'elsewhere'

function placeOf(subject: Subject, { ip }: Tried): Place {
  if (virtualAddresses(subject).includes(ip)) return 'virtual'
  if (
    isLoopback(ip) ||
    subject.cluster.nodeByAddress.has(ip) ||
    subject.view.node?.host.addresses.includes(ip) === true
  )
    return 'node'
  return subject.ports.some(({ endpoints }) => endpoints.some((endpoint) => endpoint.ip === ip))
    ? 'endpoint'
    : 'elsewhere'
}

function virtualAddresses({ ports }: Subject): readonly string[] {
  return [
    ...new Set(
      ports.flatMap(({ servicePort: { clusterIP, externalIPs, loadBalancerIPs } }) => [
        clusterIP,
        ...externalIPs,
        ...loadBalancerIPs,
      ]),
    ),
  ]
}

/** https://kubernetes.io/docs/reference/networking/virtual-ips/ */
function ping(subject: Subject, { ip }: Tried): Finding {
  const ports = subject.written.ports.map(({ port, protocol }) => `${port}/${protocol}`)
  // Of addresses on kube-ipvs0 KUBE-IPVS-FILTER rejects all that no virtual server takes.
  const means = isIpvs(subject)
    ? `${ip} is a virtual IP: the node takes its ports only, and rejects a ping of it even when all is well.`
    : `${ip} is a virtual IP: no interface has it, only its ports have rules, and a ping of it gets no answer even when all is well.`
  return onService(
    subject,
    'ping-virtual-ip',
    'error',
    'spec.clusterIP',
    means,
    `Try a connection to one of its ports instead: ${join(ports)}.`,
  )
}

function virtualPort(subject: Subject, { ip, protocol }: Tried, port: number): readonly Finding[] {
  const { ports } = subject.written
  if (ports.some((each) => each.port === port && each.protocol === protocol)) return []
  const advice = `Connect to ${join(ports.map((each) => `${ip}:${each.port}/${each.protocol}`))}.`
  const found = (check: string, index: number, field: string, why: string) => [
    onService(
      subject,
      check,
      'error',
      `spec.ports[${index}].${field}`,
      `${ip} does not answer on ${port}/${protocol}: ${why}.`,
      advice,
    ),
  ]
  const other = ports.findIndex((each) => each.port === port)
  if (other >= 0)
    return found(
      'tried-protocol',
      other,
      'protocol',
      `the Service has port ${port} for ${ports[other]?.protocol ?? ''} only`,
    )
  const target = ports.findIndex((each) => each.targetPort === port)
  if (target >= 0)
    return found('tried-target-port', target, 'targetPort', `${port} is the targetPort, where the Pods listen`)
  const node = ports.findIndex((each) => each.nodePort === port)
  if (node >= 0)
    return found(
      'tried-node-port',
      node,
      'nodePort',
      `${port} is the node port, which answers on the addresses of nodes`,
    )
  return [
    onService(
      subject,
      'tried-unknown-port',
      'error',
      'spec.ports',
      `${ip} does not answer on ${port}/${protocol}: the Service has no such port.`,
      advice,
    ),
  ]
}

function nodeAddress(subject: Subject, tried: Tried, port: number): readonly Finding[] {
  const { ports } = subject.written
  const { ip, protocol } = tried
  const index = ports.findIndex((each) => each.nodePort === port && each.protocol === protocol)
  const nodePorts = ports.flatMap((each) => (each.nodePort === undefined ? [] : [`${each.nodePort}/${each.protocol}`]))
  if (index < 0) {
    const means =
      nodePorts.length === 0
        ? `${ip} is an address of a node, and the Service has no node port.`
        : `${ip} is an address of a node, and ${port}/${protocol} is not the Service's node port there.`
    const advice =
      nodePorts.length === 0
        ? 'Use the cluster IP from inside, or set the type to NodePort.'
        : `Connect to its node port: ${join(nodePorts)}.`
    return [onService(subject, 'tried-not-node-port', 'error', 'spec.ports', means, advice)]
  }
  return excludedAddress(subject, tried, index)
}

function excludedAddress(subject: Subject, { ip }: Tried, index: number): readonly Finding[] {
  const { node, config } = subject.view
  const field = `spec.ports[${index}].nodePort`
  if (isLoopback(ip) && isIpvs(subject)) {
    const means = `Node ports do not answer on ${ip} in IPVS mode: a virtual server has an address of the node, and loopback addresses are none.`
    return [onService(subject, 'node-port-on-loopback', 'error', field, means, 'Use another address of the node.')]
  }
  if (isLoopback(ip) && (!config.localhostNodePorts || familyOfIp(ip) === 'ipv6')) {
    const means = `Node ports do not answer on ${ip}${familyOfIp(ip) === 'ipv6' ? ': they never do on the loopback address of IPv6' : ', because localhostNodePorts is off'}.`
    return [onService(subject, 'node-port-on-loopback', 'error', field, means, 'Use another address of the node.')]
  }
  if (node === undefined || !node.host.addresses.includes(ip)) return []
  const served = servedNodeAddresses(subject, familyOfIp(ip))
  if (served === 'all' || served.includes(ip)) return []
  const means = `nodePortAddresses leaves ${ip} out: on node ${node.name}, node ports answer on ${served.length === 0 ? 'no address' : join(served)}.`
  return [
    onService(
      subject,
      'node-port-address-excluded',
      'error',
      field,
      means,
      "Use one of those, or add a network that holds it to nodePortAddresses in kube-proxy's configuration.",
    ),
  ]
}

function endpointPort(subject: Subject, { ip, protocol }: Tried, port: number): readonly Finding[] {
  const listening = subject.ports.flatMap(({ servicePort, endpoints }) =>
    endpoints.filter((each) => each.ip === ip).map((each) => `${each.port}/${servicePort.protocol}`),
  )
  if (listening.includes(`${port}/${protocol}`)) return []
  const means = `${ip} is an endpoint itself, where no rule maps ports: the Service leads to ${join([...new Set(listening)])} there, not to ${port}/${protocol}.`
  return [
    onService(
      subject,
      'tried-service-port-on-pod',
      'error',
      'spec.ports',
      means,
      'Connect to that port, or to the cluster IP.',
    ),
  ]
}

function elsewhere(subject: Subject, { ip }: Tried): Finding {
  const means = `${ip} is not an address of this Service, of a node, or of one of its endpoints.`
  return onService(
    subject,
    'tried-unknown-address',
    'error',
    'spec.clusterIP',
    means,
    `Its addresses are ${join(virtualAddresses(subject))}.`,
  )
}
