// The chains of one ServicePort alone: traffic from outside, source ranges, the choice of an endpoint, the endpoints. The
// rules and their order are kube-proxy's.
import { hostCidr } from '../model/address.ts'
import type { Endpoint, ServicePort } from '../model/service-port.ts'
import type { OwnedChain } from './chunk.ts'
import { MARK_MASQ, nameEndpointChain } from './names.ts'
import type { ChainName, Match, Rule } from './rule.ts'
import { anyPort, comment, FROM_LOCAL, fromPods, jump, oneIn } from './rule-parts.ts'
import { type Compilation, type ServiceSettings, toAddress, usesFirewall } from './service-rules.ts'

export function compileChains(compilation: Compilation): readonly OwnedChain[] {
  const nameOf = endpointChainNames(compilation.servicePort)
  return [
    ...externalChain(compilation),
    ...firewallChain(compilation),
    ...balancingChain(compilation, 'cluster', nameOf),
    ...balancingChain(compilation, 'local', nameOf),
    ...compilation.servicePort.endpoints.reachable.map((endpoint) => endpointChain(compilation, endpoint, nameOf)),
  ]
}

/** How many chains compileChains returns, and how many rules they have, without compiling them. */
export function countChains(servicePort: ServicePort, settings: ServiceSettings): { chains: number; rules: number } {
  const { external, externalPolicy, externallyAccessible, internal, endpoints, affinitySeconds } = servicePort
  const detects = settings.localDetector === undefined ? 0 : 1
  let chains = endpoints.reachable.length
  let rules = 2 * endpoints.reachable.length
  if (external.kind !== 'reject' && externallyAccessible) {
    chains += 1
    rules += (externalPolicy === 'Cluster' ? 1 : detects + 2) + (external.kind === 'balance' ? 1 : 0)
  }
  if (usesFirewall(servicePort)) {
    chains += 1
    rules += servicePort.sourceRanges.length + 1
    if (servicePort.nodeInSourceRanges) rules += servicePort.loadBalancerIPs.length
  }
  for (const over of ['cluster', 'local'] as const) {
    if (endpoints[over].length === 0) continue
    chains += 1
    rules += endpoints[over].length * (affinitySeconds === undefined ? 1 : 2)
    if (internal.kind === 'balance' && internal.over === over) rules += settings.masqueradeAll ? 1 : detects
  }
  return { chains, rules }
}

type EndpointChainName = (endpoint: Endpoint) => ChainName

/** Each name is a hash, and needed two or three times. */
function endpointChainNames(servicePort: ServicePort): EndpointChainName {
  const known = new Map<Endpoint, ChainName>()
  return (endpoint) => {
    const name = known.get(endpoint) ?? nameEndpointChain(servicePort, endpoint.text)
    known.set(endpoint, name)
    return name
  }
}

/** Traffic from outside, before an endpoint is chosen: decides on masquerading, and on which endpoints. */
function externalChain({ servicePort, settings, names }: Compilation): readonly OwnedChain[] {
  const { name, external, externalPolicy, externallyAccessible } = servicePort
  if (external.kind === 'reject' || !externallyAccessible) return []
  const rules: Rule[] = []
  if (externalPolicy === 'Cluster') {
    // The endpoint may be on another node, and its answer must come back through this one.
    rules.push({ matches: [comment(`masquerade traffic for ${name} external destinations`)], target: jump(MARK_MASQ) })
  } else {
    // Traffic from pods and from this node itself never passed a load balancer: it may go to any endpoint.
    const toAny = jump(names.cluster)
    if (settings.localDetector !== undefined) {
      const matches = [comment(`pod traffic for ${name} external destinations`)]
      rules.push({ ...fromPods(settings.localDetector, false), matches, target: toAny })
    }
    rules.push(
      {
        matches: [comment(`masquerade LOCAL traffic for ${name} external destinations`), FROM_LOCAL],
        target: jump(MARK_MASQ),
      },
      { matches: [comment(`route LOCAL traffic for ${name} external destinations`), FROM_LOCAL], target: toAny },
    )
  }
  if (external.kind === 'balance') rules.push({ matches: [], target: jump(names[external.over]) })
  return [{ table: 'nat', name: names.external, rules }]
}

/** Lets the source ranges through to the external chain; the rest falls to the DROP in the filter table. */
function firewallChain({ servicePort, names }: Compilation): readonly OwnedChain[] {
  if (!usesFirewall(servicePort)) return []
  const { name, sourceRanges, nodeInSourceRanges, loadBalancerIPs } = servicePort
  const matches = [comment(`${name} loadbalancer IP`)]
  const target = jump(names.external)
  // A node that reaches the load-balancer IP by itself has that IP as its source.
  const sources = [...sourceRanges, ...(nodeInSourceRanges ? loadBalancerIPs.map(hostCidr) : [])]
  const rules: Rule[] = sources.map((source) => ({ source: { value: source }, matches, target }))
  rules.push({ matches: [comment(`other traffic to ${name} will be dropped by KUBE-PROXY-FIREWALL`)] })
  return [{ table: 'nat', name: names.firewall, rules }]
}

/** Chooses an endpoint: the one remembered for this client, else each with equal probability. */
function balancingChain(
  { servicePort, settings, names }: Compilation,
  over: 'cluster' | 'local',
  nameOf: EndpointChainName,
): readonly OwnedChain[] {
  const { name, internal, affinitySeconds } = servicePort
  const endpoints = servicePort.endpoints[over]
  if (endpoints.length === 0) return []
  const isInternal = internal.kind === 'balance' && internal.over === over
  const rules = isInternal ? offClusterMasquerade(servicePort, settings) : []
  const candidates = endpoints.map((endpoint) => ({
    chain: nameOf(endpoint),
    comments: settings.endpointComments ? [comment(`${name} -> ${endpoint.text}`)] : [],
  }))
  if (affinitySeconds !== undefined) {
    for (const { chain, comments } of candidates) {
      const remembered: Match = {
        kind: 'recent',
        name: chain,
        action: { kind: 'check', seconds: affinitySeconds, reap: true },
      }
      rules.push({ matches: [...comments, remembered], target: jump(chain) })
    }
  }
  candidates.forEach(({ chain, comments }, index) => {
    const left = candidates.length - index
    rules.push({ matches: left > 1 ? [...comments, oneIn(left)] : comments, target: jump(chain) })
  })
  return [{ table: 'nat', name: names[over], rules }]
}

/** Traffic to the cluster IP that does not come from a pod of this node is masqueraded, so that answers come back. */
function offClusterMasquerade(servicePort: ServicePort, settings: ServiceSettings): Rule[] {
  const { clusterIP, port, name } = servicePort
  const rule = toAddress(servicePort, clusterIP, port, `${name} cluster IP`, jump(MARK_MASQ))
  if (settings.masqueradeAll) return [rule]
  return settings.localDetector === undefined ? [] : [{ ...rule, ...fromPods(settings.localDetector, true) }]
}

function endpointChain(
  { servicePort, settings }: Compilation,
  endpoint: Endpoint,
  nameOf: EndpointChainName,
): OwnedChain {
  const { protocol, affinitySeconds } = servicePort
  const name = nameOf(endpoint)
  const comments = settings.endpointComments ? [comment(servicePort.name)] : []
  const remember: readonly Match[] =
    affinitySeconds === undefined ? [] : [{ kind: 'recent', name, action: { kind: 'set' } }]
  return {
    table: 'nat',
    name,
    rules: [
      // An endpoint that reaches itself through the Service would otherwise see its own address as the client's.
      { source: { value: hostCidr(endpoint.ip) }, matches: comments, target: jump(MARK_MASQ) },
      {
        protocol: { value: protocol },
        matches: [...comments, ...remember, anyPort(protocol)],
        target: { kind: 'dnat', to: endpoint.text },
      },
    ],
  }
}
