// Snapshot -> ServicePorts in the order of rules. Every Service is resolved alone, and what did not change is not resolved
// again: it is recognised by identity.
import type { ServicePort } from '../model/service-port.ts'
import type { ServiceEntry, Snapshot } from '../model/snapshot.ts'
import { type ResolveContext, resolveServicePorts } from './service-ports.ts'

/** What a Snapshot comes to on one node, for one family. */
export interface Resolved {
  /** By name, then protocol. One that did not change is the same object as before. */
  readonly servicePorts: readonly ServicePort[]
  /** Known to the ServicePorts, ready or not. */
  readonly endpoints: number
}

/** Remembers the last Snapshot: of the next one it resolves only what differs. */
export function createResolver(context: ResolveContext): (snapshot: Snapshot) => Resolved {
  let before: Resolution = { services: [], servicePorts: [], endpoints: 0 }
  return ({ services }) => {
    before = resolveChanges(services, before, context)
    return before
  }
}

interface Resolution extends Resolved {
  /** In the order of the Snapshot, which is by key. */
  readonly services: readonly ResolvedService[]
}

interface ResolvedService {
  readonly entry: ServiceEntry
  readonly ports: readonly ServicePort[]
}

/** Walks the entries before and now, which have the same order, side by side; what is the same is kept. */
function resolveChanges(entries: readonly ServiceEntry[], before: Resolution, context: ResolveContext): Resolution {
  const removed = new Set<ServicePort>()
  const added: ServicePort[] = []
  let at = 0
  const services = entries.map((entry) => {
    for (let known = before.services[at]; known !== undefined; known = before.services[at]) {
      if (known.entry !== entry && known.entry.key > entry.key) break
      at += 1
      if (known.entry === entry) return known
      for (const port of known.ports) removed.add(port)
    }
    const ports = resolveServicePorts(entry.service, entry.slices, context)
    added.push(...ports)
    return { entry, ports }
  })
  for (const gone of before.services.slice(at)) for (const port of gone.ports) removed.add(port)
  return {
    services,
    servicePorts: replacePorts(before.servicePorts, removed, added),
    endpoints: before.endpoints - countEndpoints(removed) + countEndpoints(added),
  }
}

/** Up to here, finding each place costs less than sorting everything again. */
const FEW_PORTS = 100

function replacePorts(
  sorted: readonly ServicePort[],
  removed: ReadonlySet<ServicePort>,
  added: readonly ServicePort[],
): readonly ServicePort[] {
  if (removed.size === 0 && added.length === 0) return sorted
  const ports = removed.size === 0 ? [...sorted] : sorted.filter((port) => !removed.has(port))
  if (added.length > FEW_PORTS) return [...ports, ...added].toSorted(compareServicePorts)
  for (const port of added) ports.splice(placeOf(port, ports), 0, port)
  return ports
}

/** The index at which a ServicePort belongs. */
function placeOf(port: ServicePort, sorted: readonly ServicePort[]): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = sorted[middle]
    if (other !== undefined && compareServicePorts(other, port) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function countEndpoints(ports: Iterable<ServicePort>): number {
  let sum = 0
  for (const port of ports) sum += port.endpoints.known
  return sum
}

/** The order of rules in shared chains. */
export function compareServicePorts(a: ServicePort, b: ServicePort): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0
}
