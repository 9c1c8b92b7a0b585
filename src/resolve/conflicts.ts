// Two Services that claim one address and port. Both get their rules, as with kube-proxy; which of them answers depends
// on the order of the rules, which here is the order of their names.
import { formatEndpoint } from '../model/address.ts'
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

function claimsOf(servicePort: ServicePort): readonly string[] {
  const { clusterIP, externalIPs, loadBalancerIPs, port, protocol, nodePort, healthCheckNodePort } = servicePort
  const addresses = new Set([clusterIP, ...externalIPs, ...loadBalancerIPs])
  const claims = [...addresses].map((ip) => `${formatEndpoint(ip, port)}/${protocol}`)
  if (nodePort !== undefined) claims.push(`node port ${nodePort}/${protocol}`)
  if (healthCheckNodePort !== undefined) claims.push(`node port ${healthCheckNodePort}/tcp`)
  return claims
}

function conflict(claim: string, first: ServicePort, second: ServicePort): Issue {
  return {
    severity: 'notice',
    at: { object: `Service ${second.service}` },
    message: `${claim} of ${second.name} is also claimed by ${first.name}, whose rules come first: give one of them another address or port`,
  }
}
