// The Service in a few lines: what kind it is, where it answers, who serves it, and where that was seen from.
import type { Ip } from '../model/address.ts'
import type { Endpoint } from '../model/service-port.ts'
import { onePerPort, type Subject } from './subject.ts'

export interface Header {
  readonly namespace: string
  readonly name: string
  readonly type: string
  readonly clusterIPs: readonly string[]
  readonly externalIPs: readonly string[]
  readonly loadBalancer: readonly string[]
  readonly sourceRanges: readonly string[]
  readonly ports: readonly PortLine[]
  readonly internalTrafficPolicy?: string
  readonly externalTrafficPolicy?: string
  /** Seconds of ClientIP affinity. */
  readonly affinitySeconds?: number
  readonly selector?: Readonly<Record<string, string>>
  /** Absent when Pods are not known. */
  readonly pods?: { readonly ready: number; readonly all: number }
  readonly endpoints: { readonly ready: number; readonly all: number; readonly nodes: readonly NodeShare[] }
  /** The node whose rules decide; absent: none in particular. */
  readonly seenFrom?: string
  readonly mode: string
}

export interface PortLine {
  readonly name: string
  readonly protocol: string
  readonly port: number
  readonly targetPort: number | string
  readonly nodePort?: number
  /** Absent when it has no rules. */
  readonly endpoints?: { readonly ready: number; readonly all: number }
}

export interface NodeShare {
  /** Empty for endpoints that name no node. */
  readonly node: string
  readonly ready: number
  readonly all: number
}

export function summariseService(subject: Subject): Header {
  const { written, service, pods, view } = subject
  const hasAddress = subject.ports.length > 0
  return {
    namespace: written.namespace,
    name: written.name,
    type: written.type,
    clusterIPs: service === undefined ? [written.clusterIP].filter((ip) => ip !== '') : addressesOf(subject),
    externalIPs: written.externalIPs,
    loadBalancer: written.ingress.flatMap(({ ip, hostname }) => ip ?? hostname ?? []),
    sourceRanges: written.sourceRanges.map((range) => range.trim()),
    ports: written.ports.map((port, index) => {
      const views = onePerPort(subject.ports.filter((each) => each.index === index))
      const endpoints = subject.ports.filter((each) => each.index === index).flatMap((each) => each.endpoints)
      return { ...port, ...(views.length > 0 && { endpoints: countReady(endpoints) }) }
    }),
    ...(service && hasAddress && policiesOf(subject)),
    ...(service?.affinitySeconds !== undefined && { affinitySeconds: service.affinitySeconds }),
    ...(written.selector && { selector: written.selector }),
    ...(pods && {
      pods: { ready: pods.filter(({ ready, terminating }) => ready && !terminating).length, all: pods.length },
    }),
    endpoints: shareOut(subject),
    ...(view.node && { seenFrom: view.node.name }),
    mode: view.config.mode,
  }
}

function addressesOf({ service, written }: Subject): readonly string[] {
  if (written.clusterIP === 'None') return ['None']
  return [service?.clusterIPs.ipv4, service?.clusterIPs.ipv6].filter((ip) => ip !== undefined)
}

function policiesOf({ service }: Subject): Pick<Header, 'internalTrafficPolicy' | 'externalTrafficPolicy'> {
  if (service === undefined) return {}
  const external = service.type !== 'ClusterIP' || service.listsExternalIPs
  return {
    internalTrafficPolicy: service.internalTrafficPolicy,
    ...(external && { externalTrafficPolicy: service.externalTrafficPolicy }),
  }
}

/** By address: a Pod that serves three ports is one. */
function shareOut({ slices, nodeOf }: Subject): Header['endpoints'] {
  const byIp = new Map<Ip, boolean>()
  for (const { endpoints } of slices)
    for (const { ip, ready } of endpoints) byIp.set(ip, ready || byIp.get(ip) === true)
  const shares = new Map<string, { ready: number; all: number }>()
  for (const [ip, ready] of byIp) {
    const node = nodeOf.get(ip) ?? ''
    const share = shares.get(node) ?? { ready: 0, all: 0 }
    shares.set(node, { ready: share.ready + Number(ready), all: share.all + 1 })
  }
  return {
    ready: [...byIp.values()].filter(Boolean).length,
    all: byIp.size,
    nodes: [...shares].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([node, share]) => ({ node, ...share })),
  }
}

function countReady(endpoints: readonly Endpoint[]): { ready: number; all: number } {
  return { ready: endpoints.filter(({ ready }) => ready).length, all: endpoints.length }
}
