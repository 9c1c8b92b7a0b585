// Which Services `sluice graph` draws, from its words.

import type { Service, Snapshot } from '../model/snapshot.ts'
import type { PortRules } from '../picture/entrances.ts'
import { Failure } from './failure.ts'
import { listNames } from './words.ts'

export type Selection =
  | { readonly kind: 'all' }
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'service'; readonly service: string }
  /** Only a packet's way. */
  | { readonly kind: 'none' }

interface SelectionOptions {
  readonly namespace?: string
  readonly allNamespaces?: true
  readonly packet?: string
}

/** @throws Failure for words that exclude each other, and when there are none. */
export function readSelection(name: string | undefined, options: SelectionOptions): Selection {
  const { namespace, allNamespaces, packet } = options
  if (allNamespaces === true) {
    const other = name ?? (namespace === undefined ? undefined : `-n ${namespace}`)
    if (other !== undefined) throw new Failure(`-A draws every Service: leave out ${other}, or -A`)
    return { kind: 'all' }
  }
  if (name === undefined) {
    if (namespace !== undefined && packet === undefined) return { kind: 'namespace', namespace }
    if (packet !== undefined) return { kind: 'none' }
    throw new Failure(
      "what is to be drawn? Give NAMESPACE/SERVICE, a namespace, -A, or a packet such as 'tcp A -> B:80'",
    )
  }
  if (!name.includes('/')) {
    return namespace === undefined
      ? { kind: 'namespace', namespace: name }
      : { kind: 'service', service: `${namespace}/${name}` }
  }
  if (namespace !== undefined && !name.startsWith(`${namespace}/`)) {
    throw new Failure(`${name} is not in the namespace of -n ${namespace}: leave one of them out`)
  }
  return { kind: 'service', service: name }
}

export function isSelected(selection: Selection, service: string): boolean {
  switch (selection.kind) {
    case 'all':
      return true
    case 'namespace':
      return service.startsWith(`${selection.namespace}/`)
    case 'service':
      return service === selection.service
    case 'none':
      return false
    default:
      return selection satisfies never
  }
}

/** Services that have no rules, and why, by name. Only the objects know of them. */
export function servicesWithoutRules(
  ports: readonly PortRules[],
  snapshot: Snapshot | undefined,
): ReadonlyMap<string, string> {
  const drawn = new Set(ports.map(({ service }) => service))
  const missing = (snapshot?.services ?? []).filter(({ key }) => !drawn.has(key))
  return new Map(missing.map(({ key, service }) => [key, whyNoRules(service)]))
}

function whyNoRules({ type, clusterIPs, ports }: Service): string {
  if (type === 'ExternalName') return 'ExternalName: an entry in DNS, no rules'
  if (Object.keys(clusterIPs).length === 0) return 'headless: DNS gives the addresses of its Pods, no rules'
  return ports.length === 0 ? 'no ports, so no rules' : 'no rules on this node'
}

/** @throws Failure, with what there is. */
export function refuseUnknown(selection: Selection, known: readonly string[]): void {
  if (selection.kind === 'none' || known.some((service) => isSelected(selection, service))) return
  const services = [...new Set(known)].toSorted()
  const has = services.length === 0 ? 'it has none' : `it has ${listNames(services)}`
  if (selection.kind === 'all') throw new Failure('there is no Service in the input, and nothing to draw')
  if (selection.kind === 'service') {
    throw new Failure(`${selection.service}: there is no such Service in the input (${has}): write NAMESPACE/SERVICE`)
  }
  const namespaces = [...new Set(services.map((service) => service.split('/', 1)[0] ?? ''))]
  throw new Failure(
    `${selection.namespace}: there is no Service of that namespace in the input (${namespaces.length === 0 ? has : `its namespaces are ${listNames(namespaces)}`}); write a Service as NAMESPACE/SERVICE`,
  )
}
