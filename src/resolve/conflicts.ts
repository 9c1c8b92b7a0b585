// Services that claim the same address and port. All get their rules, as with kube-proxy; which of them answers depends on
// the order of the rules, which here is the order of their names.
import { formatEndpoint, type Ip } from '../model/address.ts'
import type { Issue } from '../model/issue.ts'
import type { ServicePort } from '../model/service-port.ts'

/** One notice per claim that several Services make. `servicePorts` of one family, in the order of their rules. */
export function findConflicts(servicePorts: readonly ServicePort[]): readonly Issue[] {
  const claims = new Map<string, ServicePort>()
  const issues: Issue[] = []
  for (const servicePort of servicePorts) {
    for (const claim of claimsOf(servicePort)) {
      const first = claims.get(claim)
      if (first === undefined) claims.set(claim, servicePort)
      else if (first.service !== servicePort.service) issues.push(conflict(claim, first, servicePort))
    }
  }
  return issues
}

export function sameClaims(a: ServicePort, b: ServicePort): boolean {
  const claims = new Set(claimsOf(a))
  return claims.size === new Set(claimsOf(b)).size && claimsOf(b).every((claim) => claims.has(claim))
}

/** Whether one of `some` claims what a ServicePort of another Service among `all` claims. */
export function haveRivals(some: readonly ServicePort[], all: readonly ServicePort[]): boolean {
  const claims = new Map<string, string>()
  const addresses = new Set<string>()
  const nodePorts = new Set<number>()
  for (const servicePort of some) {
    for (const claim of claimsOf(servicePort)) {
      const { service } = servicePort
      if ((claims.get(claim) ?? service) !== service) return true
      claims.set(claim, service)
    }
    for (const ip of addressesOf(servicePort)) addresses.add(ip)
    for (const port of nodePortsOf(servicePort)) nodePorts.add(port)
  }
  // Almost none has an address in common: of those the claims need not be made.
  return all.some(
    (servicePort) =>
      (addressesOf(servicePort).some((ip) => addresses.has(ip)) ||
        nodePortsOf(servicePort).some((port) => nodePorts.has(port))) &&
      claimsOf(servicePort).some((claim) => (claims.get(claim) ?? servicePort.service) !== servicePort.service),
  )
}

/** All that claim what a ServicePort of another Service claims, in their order. */
export function findRivals(servicePorts: readonly ServicePort[]): ReadonlySet<ServicePort> {
  const claimed = new Map<string, ServicePort['service']>()
  const contested = new Set<string>()
  for (const servicePort of servicePorts) {
    for (const claim of claimsOf(servicePort)) {
      const first = claimed.get(claim)
      if (first === undefined) claimed.set(claim, servicePort.service)
      else if (first !== servicePort.service) contested.add(claim)
    }
  }
  if (contested.size === 0) return new Set()
  return new Set(servicePorts.filter((servicePort) => claimsOf(servicePort).some((claim) => contested.has(claim))))
}

function claimsOf(servicePort: ServicePort): readonly string[] {
  const { port, protocol, nodePort, healthCheckNodePort } = servicePort
  const claims = [...new Set(addressesOf(servicePort))].map((ip) => `${formatEndpoint(ip, port)}/${protocol}`)
  if (nodePort !== undefined) claims.push(`node port ${nodePort}/${protocol}`)
  if (healthCheckNodePort !== undefined) claims.push(`node port ${healthCheckNodePort}/tcp`)
  return claims
}

function addressesOf({ clusterIP, externalIPs, loadBalancerIPs }: ServicePort): readonly Ip[] {
  return [clusterIP, ...externalIPs, ...loadBalancerIPs]
}

function nodePortsOf({ nodePort, healthCheckNodePort }: ServicePort): readonly number[] {
  return [nodePort, healthCheckNodePort].filter((port) => port !== undefined)
}

function conflict(claim: string, first: ServicePort, second: ServicePort): Issue {
  return {
    severity: 'notice',
    at: { object: `Service ${second.service}` },
    message: `${claim} of ${second.name} is also claimed by ${first.name}, whose rules come first: give one of them another address or port`,
  }
}
