// The cluster of the benchmark of IPVS mode as Snapshots, its node, and the syncer.
import { startHands } from '../../src/host/hands-client.ts'
import {
  assembleSnapshot,
  type Cidr,
  defaultProxyConfig,
  describeNode,
  type Ip,
  type NodeFacts,
  type ProxyConfig,
  type ServiceEntry,
  type Snapshot,
} from '../../src/index.ts'
import { createIpvsSyncer, type IpvsSyncer } from '../../src/sync/ipvs/syncer.ts'
import { type ApiService, generateServices } from './cluster.ts'

export const CONFIG: ProxyConfig = { ...defaultProxyConfig(), clusterCIDRs: ['10.128.0.0/9' as Cidr] }

const LIMIT_MS = 900_000

export function factsOfNode(): NodeFacts {
  const addresses = ['127.0.0.1', '192.168.1.63'] as Ip[]
  const host = { addresses, features: { nfacct: false, randomFully: true, tcpBeLiberal: false } }
  return describeNode('node1', undefined, CONFIG, host).facts
}

export function snapshotOfSize(services: number): Snapshot {
  return assemble([...generateServices(services)])
}

/** The Service alone. */
export function entryOf(given: ApiService): ServiceEntry {
  const [entry] = assemble([given]).services
  if (entry === undefined) throw new Error('a Service makes no entry')
  return entry
}

/** The Snapshot with the entry instead of that of the same key; without it when `entry` is a key. */
export function withEntry(snapshot: Snapshot, entry: ServiceEntry | string): Snapshot {
  const key = typeof entry === 'string' ? entry : entry.key
  const services = snapshot.services.filter((each) => each.key < key)
  if (typeof entry !== 'string') services.push(entry)
  return { ...snapshot, services: [...services, ...snapshot.services.filter((each) => each.key > key)] }
}

export function startBenchSyncer(hands: Awaited<ReturnType<typeof startHands>>, now: () => number): IpvsSyncer {
  // What is measured is how long it takes, on whatever machine.
  const limits = { restoreMs: () => LIMIT_MS }
  return createIpvsSyncer({ hands, family: 'ipv4', variant: 'legacy', now, device: 'kube-ipvs0', limits })
}

function assemble(services: readonly ApiService[]): Snapshot {
  const objects = services.flatMap(({ service, slice }) => [service, slice])
  const { snapshot, issues } = assembleSnapshot(objects.map((value) => ({ value: { ...value }, at: {} })))
  const error = issues.find(({ severity }) => severity === 'error')
  if (error !== undefined) throw new Error(error.message)
  return snapshot
}
