// The lines of one ServicePort in the chains that all share. The rules and their order are kube-proxy's.
import type { Cidr } from '../model/address.ts'
import type { Decision, ServicePort } from '../model/service-port.ts'
import type { Entry } from './chunk.ts'
import { EXTERNAL_SERVICES, LOCALHOST_NODE_PORTS_COUNTER, NODE_PORTS, PROXY_FIREWALL, SERVICES } from './names.ts'
import type { ChainName, Match, Rule, Target } from './rule.ts'
import { ACCEPT, comment, DROP, jump, rejectWith, TO_LOCAL, toPort } from './rule-parts.ts'
import { type Compilation, type ServiceSettings, toAddress, usesFirewall } from './service-rules.ts'

const LOOPBACK_NETWORK = '127.0.0.0/8' as Cidr

/** In the order in which they stand within each chain. */
export function compileEntries(compilation: Compilation): readonly Entry[] {
  return [
    ...clusterIPEntries(compilation),
    ...externalIPEntries(compilation),
    ...loadBalancerEntries(compilation),
    ...nodePortEntries(compilation),
  ]
}

/**
 * How many entries compileEntries returns for each shared chain, without compiling them: the position of a line is the
 * number of lines before it, and that must not cost the compilation of all Services.
 */
export function countEntries(servicePort: ServicePort, settings: ServiceSettings): EntryCounts {
  const { internal, external, externalIPs, loadBalancerIPs, nodePort, healthCheckNodePort } = servicePort
  const accepts = (decision: Decision) => (decision.kind === 'reject' ? 0 : 1)
  const refuses = (decision: Decision) => (decision.kind === 'balance' ? 0 : 1)
  const addresses = externalIPs.length + loadBalancerIPs.length
  const hasNodePort = nodePort === undefined ? 0 : 1
  const linesPerNodePort = settings.localhostNodePorts && settings.nfacct ? 2 : 1
  // Written out: an object with computed keys takes many times as long to make.
  return {
    'nat KUBE-SERVICES': 1 - refuses(internal) + addresses * accepts(external),
    'nat KUBE-NODEPORTS': hasNodePort * linesPerNodePort * accepts(external),
    'filter KUBE-SERVICES': refuses(internal),
    'filter KUBE-EXTERNAL-SERVICES': (addresses + hasNodePort) * refuses(external),
    'filter KUBE-PROXY-FIREWALL': usesFirewall(servicePort) ? loadBalancerIPs.length : 0,
    'filter KUBE-NODEPORTS': healthCheckNodePort === undefined ? 0 : 1,
  }
}

/** By table and chain: `nat KUBE-SERVICES`. */
export type EntryCounts = Readonly<Record<string, number>>

function clusterIPEntries({ servicePort, names }: Compilation): readonly Entry[] {
  const { name, internal, clusterIP, port } = servicePort
  if (internal.kind === 'balance') {
    return [nat(SERVICES, toAddress(servicePort, clusterIP, port, `${name} cluster IP`, jump(names[internal.over])))]
  }
  return [filter(SERVICES, toAddress(servicePort, clusterIP, port, ...refusal(servicePort, internal.kind)))]
}

function externalIPEntries({ servicePort, names }: Compilation): readonly Entry[] {
  const { name, external, externalIPs, port } = servicePort
  const entries: Entry[] = []
  for (const ip of externalIPs) {
    if (external.kind !== 'reject') {
      entries.push(nat(SERVICES, toAddress(servicePort, ip, port, `${name} external IP`, jump(names.external))))
    }
    if (external.kind !== 'balance') {
      const rule = toAddress(servicePort, ip, port, ...refusal(servicePort, external.kind))
      entries.push(filter(EXTERNAL_SERVICES, rule))
    }
  }
  return entries
}

function loadBalancerEntries({ servicePort, names }: Compilation): readonly Entry[] {
  const { name, external, loadBalancerIPs, port } = servicePort
  const entries: Entry[] = []
  for (const ip of loadBalancerIPs) {
    if (external.kind !== 'reject') {
      const chain = usesFirewall(servicePort) ? names.firewall : names.external
      entries.push(nat(SERVICES, toAddress(servicePort, ip, port, `${name} loadbalancer IP`, jump(chain))))
    }
    if (usesFirewall(servicePort)) {
      // What the firewall chain lets in is DNATed and no longer has this destination when it reaches the filter table.
      const text = `${name} traffic not accepted by ${names.firewall}`
      entries.push(filter(PROXY_FIREWALL, toAddress(servicePort, ip, port, text, DROP)))
    }
    if (external.kind !== 'balance') {
      const rule = toAddress(servicePort, ip, port, ...refusal(servicePort, external.kind))
      entries.push(filter(EXTERNAL_SERVICES, rule))
    }
  }
  return entries
}

function nodePortEntries({ servicePort, settings, names }: Compilation): readonly Entry[] {
  const { name, protocol, external, nodePort, healthCheckNodePort } = servicePort
  const entries: Entry[] = []
  if (nodePort !== undefined && external.kind !== 'reject') {
    const matches = [comment(name), toPort(protocol, nodePort)]
    const target = jump(names.external)
    if (settings.localhostNodePorts && settings.nfacct) {
      const counted = [...matches, { kind: 'nfacct', name: LOCALHOST_NODE_PORTS_COUNTER } satisfies Match]
      entries.push(
        nat(NODE_PORTS, {
          destination: { value: LOOPBACK_NETWORK },
          protocol: { value: protocol },
          matches: counted,
          target,
        }),
      )
    }
    entries.push(nat(NODE_PORTS, { protocol: { value: protocol }, matches, target }))
  }
  if (nodePort !== undefined && external.kind !== 'balance') {
    const [text, target] = refusal(servicePort, external.kind)
    const matches = [comment(text), TO_LOCAL, toPort(protocol, nodePort)]
    entries.push(filter(EXTERNAL_SERVICES, { protocol: { value: protocol }, matches, target }))
  }
  if (healthCheckNodePort !== undefined) {
    const matches = [comment(`${name} health check node port`), toPort('tcp', healthCheckNodePort)]
    entries.push(filter(NODE_PORTS, { protocol: { value: 'tcp' }, matches, target: ACCEPT }))
  }
  return entries
}

/** Comment and target for traffic that has nowhere to go: rejected when nobody serves, dropped when others do. */
function refusal({ name, family }: ServicePort, kind: 'drop' | 'reject'): readonly [string, Target] {
  return kind === 'reject' ? [`${name} has no endpoints`, rejectWith(family)] : [`${name} has no local endpoints`, DROP]
}

function nat(chain: ChainName, rule: Rule): Entry {
  return { table: 'nat', chain, rule }
}

function filter(chain: ChainName, rule: Rule): Entry {
  return { table: 'filter', chain, rule }
}
