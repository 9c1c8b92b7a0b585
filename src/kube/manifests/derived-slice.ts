// Puts endpoints that were derived one by one into EndpointSlices, as the cluster's controllers do: one slice holds one
// family and one set of ports. Order and names depend on nothing but the endpoints.
import { FAMILIES, type Family, familyOfIp } from '../../model/address.ts'
import { objectKey } from '../../model/object-name.ts'
import type { EndpointSlice, SliceEndpoint, SlicePort } from '../../model/snapshot.ts'

export interface DerivedEndpoint {
  readonly ports: readonly SlicePort[]
  readonly endpoint: SliceEndpoint
  /** Orders endpoints of one address. */
  readonly origin: string
}

/**
 * Slices of one Service, sorted by name: `web-derived-ipv4-1`. The controllers also split a slice at 100 or 1,000
 * endpoints; that has no effect on rules and is left out.
 */
export function groupIntoSlices(
  service: { readonly namespace: string; readonly name: string },
  derived: readonly DerivedEndpoint[],
): readonly EndpointSlice[] {
  const slices = FAMILIES.flatMap((family) => slicesOfFamily(service, family, derived))
  return slices.toSorted((a, b) => compareText(a.name, b.name))
}

/** Byte order for ASCII text; never by locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function slicesOfFamily(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  family: Family,
  derived: readonly DerivedEndpoint[],
): readonly EndpointSlice[] {
  const ofFamily = derived.filter(({ endpoint }) => familyOfIp(endpoint.ip) === family)
  const groups = Map.groupBy(ofFamily, ({ ports }) => portSetKey(ports))
  return [...groups]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([, members], index) => ({
      namespace,
      name: `${name}-derived-${family}-${index + 1}`,
      service: objectKey(namespace, name),
      family,
      ports: sortPorts(members[0]?.ports ?? []),
      endpoints: members.toSorted(compareDerived).map(({ endpoint }) => endpoint),
    }))
}

function compareDerived(a: DerivedEndpoint, b: DerivedEndpoint): number {
  return (
    compareText(a.endpoint.ip, b.endpoint.ip) ||
    // The proxy takes the last of several endpoints with one address (hostNetwork Pods); which one that is in a cluster
    // is chance. Here it is one that serves.
    Number(a.endpoint.ready) - Number(b.endpoint.ready) ||
    compareText(a.origin, b.origin)
  )
}

function portSetKey(ports: readonly SlicePort[]): string {
  return sortPorts(ports).map(portKey).join(' ')
}

function sortPorts(ports: readonly SlicePort[]): readonly SlicePort[] {
  return ports.toSorted((a, b) => compareText(portKey(a), portKey(b)))
}

/** Unambiguous: names of ports hold neither `/` nor a space. */
export function portKey({ name, protocol, port }: SlicePort): string {
  return `${name}/${protocol}/${port}`
}
