// Checks of loadBalancerSourceRanges: whom they keep out, and where they do nothing.
import { cidrContains, familyOfCidr, familyOfIp, prefixLength } from '../model/address.ts'
import type { Finding } from './finding.ts'
import { RANGES_ANNOTATION } from './service-object.ts'
import { type Check, isServed, onService, type Subject } from './subject.ts'
import { familyName, join } from './words.ts'

const FIELD = 'spec.loadBalancerSourceRanges'

export const clientExcluded: Check = (subject) => {
  const { client, service } = subject
  if (client === undefined || service === undefined) return []
  const port = subject.ports.find(({ family }) => family === familyOfIp(client.ip))?.servicePort
  if (port === undefined || port.loadBalancerIPs.length === 0 || port.sourceRanges.length === 0) return []
  if (port.sourceRanges.some((range) => cidrContains(range, client.ip))) {
    const means = `${client.ip} is in the source ranges, so it may use ${join(port.loadBalancerIPs)}.`
    return [onService(subject, 'client-in-ranges', 'notice', FIELD, means)]
  }
  const severity = client.kind === 'outside' ? 'error' : 'warning'
  const means = `${client.ip} is in none of the source ranges (${join(port.sourceRanges)}), so what it sends to ${join(port.loadBalancerIPs)} is dropped.`
  const advice = `Add a range that holds it, such as ${client.ip}/${client.ip.includes(':') ? 128 : 32}; the address counts that arrives at the node.`
  return [onService(subject, 'client-excluded', severity, FIELD, means, advice)]
}

export const sourceRanges: Check = (subject) => {
  const { service, ports } = subject
  if (service === undefined || service.loadBalancerSourceRanges.length === 0 || !isServed(subject)) return []
  const given = service.loadBalancerSourceRanges
  if (service.loadBalancerIPs.length === 0) {
    const means =
      'The source ranges have no effect on the nodes: they guard load-balancer addresses, and the Service has none there.'
    return [
      onService(
        subject,
        'ranges-without-address',
        'warning',
        FIELD,
        means,
        'Node ports and external IPs need a firewall of their own.',
      ),
    ]
  }
  const open = given.find((range) => prefixLength(range) === 0)
  if (open !== undefined) {
    const family = familyOfCidr(open)
    const others = given.filter((range) => range !== open && familyOfCidr(range) === family)
    const also = others.length === 0 ? '' : `, and ${join(others)} has no effect`
    const means = `The source ranges hold ${open}, so everybody of ${familyName(family)} may use the load balancer${also}.`
    return [onService(subject, 'ranges-open', others.length > 0 ? 'warning' : 'notice', FIELD, means)]
  }
  return [
    ...otherFamily(subject),
    ...(ports.some(({ servicePort }) => servicePort.sourceRanges.length > 0) ? [inForce(subject)] : []),
  ]
}

/** Ranges of one family say nothing about the other, which stays open. */
function otherFamily(subject: Subject): readonly Finding[] {
  const open = subject.ports.filter(
    ({ servicePort }) => servicePort.loadBalancerIPs.length > 0 && servicePort.sourceRanges.length === 0,
  )
  return [...new Set(open.map(({ family }) => family))].map((family) => {
    const means = `There is no ${familyName(family)} source range, so every ${familyName(family)} client may use the load balancer.`
    return onService(
      subject,
      'ranges-other-family',
      'warning',
      FIELD,
      means,
      `Add a range of ${familyName(family)} too.`,
    )
  })
}

function inForce(subject: Subject): Finding {
  const nodePorts = subject.written.ports.some(({ nodePort }) => nodePort !== undefined)
  const means = `Only ${join(subject.service?.loadBalancerSourceRanges ?? [])} may use the load-balancer address, Pods and nodes included${nodePorts ? '; node ports are open to everybody' : ''}.`
  return onService(subject, 'ranges-in-force', 'notice', FIELD, means)
}

/** What could not be read does not count, and a list of which nothing counts lets everybody in. */
export const rangesUnreadable: Check = (subject) => {
  const { written, service } = subject
  const given = written.sourceRanges.filter((range) => range.trim() !== '')
  if (service === undefined || given.length === 0 || service.loadBalancerSourceRanges.length > 0) return []
  const means = 'None of the source ranges can be read, and a list without ranges lets everybody in.'
  return [onService(subject, 'ranges-all-unreadable', 'error', FIELD, means, 'Write networks such as 203.0.113.0/24.')]
}

export const rangesAnnotation: Check = (subject) => {
  if (subject.written.rangesAnnotation === undefined || subject.written.sourceRanges.length > 0) return []
  const means = `The annotation ${RANGES_ANNOTATION} has no effect on nodes: only some cloud controllers read it.`
  return [
    onService(
      subject,
      'ranges-annotation',
      'warning',
      'metadata.annotations',
      means,
      `Write the ranges into ${FIELD}.`,
    ),
  ]
}
