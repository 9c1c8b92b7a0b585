// Checks of the addresses that clients use: who else claims them, can they work at all, and on which of a node's
// addresses node ports answer.
import {
  cidrContains,
  FAMILIES,
  type Family,
  familyOfCidr,
  familyOfIp,
  type Ip,
  isLoopback,
  isUnspecified,
  parseIp,
  prefixLength,
} from '../model/address.ts'
import { nodePortCIDRs } from '../resolve/node-facts.ts'
import { claimsOf } from './cluster.ts'
import type { Finding } from './finding.ts'
import { type Check, isServed, onService, type Subject } from './subject.ts'
import { familyName, join } from './words.ts'

/** Every Service gets its rules; of two with one address and port, those that come first answer. */
export const conflicts: Check = (subject) => {
  const { service, written, cluster } = subject
  if (service === undefined || cluster.contested.size === 0) return []
  return service.ports.flatMap((port, index) =>
    FAMILIES.flatMap((family) =>
      claimsOf(service, port, family).flatMap((claim): readonly Finding[] => {
        const claimants = cluster.contested.get(claim) ?? []
        const [winner] = claimants
        const others = claimants.filter((key) => key !== written.key)
        if (winner === undefined || others.length === 0) return []
        const field = claim.includes('node port')
          ? `spec.ports[${index}].nodePort`
          : fieldOfClaim(subject, claim, index)
        const advice = 'Give one of them another address or port.'
        if (winner !== written.key) {
          const means = `${claim} is also claimed by Service ${winner}, whose rules come first: clients get that Service.`
          return [onService(subject, 'address-conflict', 'error', field, means, advice)]
        }
        const means = `${claim} is also claimed by ${join(others.map((key) => `Service ${key}`))}; the rules of this Service come first.`
        return [onService(subject, 'address-conflict', 'warning', field, means, advice)]
      }),
    ),
  )
}

function fieldOfClaim({ service, written }: Subject, claim: string, port: number): string {
  const ip = parseIp(claim.replace(/:\d+\/\w+$/, '').replaceAll(/[[\]]/g, ''))
  if (ip === undefined || service === undefined) return `spec.ports[${port}]`
  const external = written.externalIPs.findIndex((given) => parseIp(given) === ip)
  if (external >= 0) return `spec.externalIPs[${external}]`
  const ingress = written.ingress.findIndex((entry) => entry.ip !== undefined && parseIp(entry.ip) === ip)
  return ingress >= 0 ? `status.loadBalancer.ingress[${ingress}]` : 'spec.clusterIP'
}

/** External IPs that nodes have no rules for, or that are better left alone. */
export const externalIPs: Check = (subject) => {
  const { written, service, view } = subject
  if (service === undefined || written.type === 'ExternalName' || !isServed(subject)) return []
  return written.externalIPs.flatMap((given, index) => {
    const ip = parseIp(given)
    const field = `spec.externalIPs[${index}]`
    if (ip === undefined) return []
    const allowed = view.config.featureGates['AllowServiceExternalIPs'] ?? true
    if (!allowed) {
      const means = `Feature gate AllowServiceExternalIPs is off, so nodes have no rules for ${ip}.`
      return [
        onService(
          subject,
          'external-ip-disabled',
          'error',
          field,
          means,
          'Use a load balancer or a node port, or switch the gate on.',
        ),
      ]
    }
    if (service.clusterIPs[familyOfIp(ip)] === undefined) {
      const means = `${ip} is of a family that the Service has no cluster IP of, so nodes have no rules for it.`
      return [
        onService(
          subject,
          'external-ip-family',
          'error',
          field,
          means,
          'Set spec.ipFamilyPolicy to PreferDualStack, or use an address of the other family.',
        ),
      ]
    }
    return unusableAddress(subject, ip, field)
  })
}

function unusableAddress(subject: Subject, ip: Ip, field: string): readonly Finding[] {
  const { cluster, written } = subject
  if (isLoopback(ip) || isUnspecified(ip)) {
    const means = `${ip} is an address that no client can send to from another machine.`
    return [
      onService(subject, 'external-ip-unusable', 'error', field, means, 'Use an address that is routed to the nodes.'),
    ]
  }
  const owner = cluster.clusterIPs.get(ip)
  if (owner !== undefined && owner !== written.key) {
    const means = `${ip} is the cluster IP of Service ${owner}: this Service takes over its ports there.`
    return [onService(subject, 'external-ip-is-cluster-ip', 'warning', field, means, 'Use an address of its own.')]
  }
  const pod = cluster.podByIp.get(ip)
  if (pod !== undefined) {
    const means = `${ip} is the address of Pod ${pod.key}: what is sent to it comes to this Service.`
    return [onService(subject, 'external-ip-is-pod', 'warning', field, means, 'Use an address of its own.')]
  }
  const node = cluster.nodeByAddress.get(ip)
  if (node !== undefined) {
    const means = `${ip} is an address of node ${node.name}: the Service takes these ports from programs on it.`
    return [onService(subject, 'external-ip-is-node', 'notice', field, means)]
  }
  return []
}

/** Which of this node's addresses a node port answers on. */
export const nodePortAddresses: Check = (subject) => {
  const { view, written } = subject
  const { node, config } = view
  const nodePorts = written.ports.flatMap(({ nodePort }) => nodePort ?? [])
  if (nodePorts.length === 0 || !isServed(subject) || config.nodePortAddresses.length === 0 || node === undefined)
    return []
  const families = [...new Set(subject.ports.map(({ family }) => family))]
  return families.flatMap((family): readonly Finding[] => {
    const served = servedNodeAddresses(subject, family)
    if (served === 'all') return []
    const at = { object: `node ${node.name}`, field: 'nodePortAddresses' }
    if (served.length > 0) {
      const means = `Node ports answer only on ${join(served)} of this node (${familyName(family)}).`
      return [{ severity: 'notice' as const, check: 'node-port-addresses', at, means }]
    }
    const means = `nodePortAddresses holds none of this node's ${familyName(family)} addresses, so node port ${join(nodePorts.map(String))} answers nowhere on it.`
    const advice =
      "Set nodePortAddresses in kube-proxy's configuration to a network that holds the node's address, or to primary."
    return [{ severity: 'error' as const, check: 'node-port-nowhere', at, means, advice }]
  })
}

/** The addresses of the node that node ports of the family answer on; `all` without a restriction. */
export function servedNodeAddresses({ view: { node, config } }: Subject, family: Family): 'all' | readonly Ip[] {
  if (node === undefined) return 'all'
  const cidrs = nodePortCIDRs(config, node).filter((cidr) => familyOfCidr(cidr) === family)
  if (cidrs.length === 0 || cidrs.some((cidr) => prefixLength(cidr) === 0)) return 'all'
  const addresses = node.host.addresses.filter((ip) => familyOfIp(ip) === family)
  return addresses.filter((ip) => cidrs.some((cidr) => cidrContains(cidr, ip)))
}
