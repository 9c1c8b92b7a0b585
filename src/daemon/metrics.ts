// What happens in the daemon, as metrics: one method for each thing that happens, none of which ever throws or waits.

// The package's own entry also loads OpenTelemetry, a push gateway and node:cluster: 10 MB and 40 ms for nothing here.
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Histogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import type { Family } from '../model/address.ts'
import { METRICS, type MetricDefinition, NFACCT_METRICS, PROCESS_METRICS } from './metric-table.ts'
import { type ProcessUsage, readProcessUsage } from './process-usage.ts'

export interface MetricsOptions {
  /** Of sluice. */
  readonly version: string
  /** Seconds since 1970. */
  readonly now: () => number
  /**
   * Reads the packet counts of nfacct objects; those that can't be read are missing in the answer. It must end by itself:
   * a scrape waits for it. Absent: the kernel has none.
   */
  readonly readCounters?: (names: readonly string[]) => Promise<ReadonlyMap<string, number>>
  readonly readUsage?: () => ProcessUsage
}

export interface EndedSync {
  /** `none` counts as partial, as with kube-proxy. */
  readonly kind: 'full' | 'partial' | 'none'
  readonly seconds: number
  readonly succeeded: boolean
}

/** Of the syncs of one family. */
export interface SyncMetrics {
  readonly syncQueued: (family: Family) => void
  readonly syncEnded: (family: Family, sync: EndedSync) => void
  /** `lines` of restore input; only for a sync that wrote. */
  readonly planned: (family: Family, lines: number) => void
  readonly compiled: (family: Family, seconds: number) => void
  readonly applied: (family: Family, seconds: number) => void
  /** Rules of a table: how many are ours, how many the last sync wrote. */
  readonly rulesCounted: (family: Family, table: 'filter' | 'nat', rules: { owned: number; written: number }) => void
  readonly restoreFailed: (family: Family, kind: 'full' | 'partial') => void
  readonly batchRestored: (family: Family) => void
  readonly servicesIsolated: (family: Family, count: number) => void
  readonly driftFound: (family: Family, kind: string) => void
  readonly conntrackCleaned: (family: Family, cleaned: { seconds: number; deleted: number }) => void
  /** Seconds from a trigger time that the cluster recorded to rules that have the change. */
  readonly networkProgrammed: (family: Family, seconds: number) => void
  readonly noLocalEndpoints: (family: Family, ports: { internal: number; external: number }) => void
}

/** Of what Snapshots come from, and of their changes. */
export interface SourceMetrics {
  readonly endpointsChanged: (pending: number) => void
  readonly servicesChanged: (pending: number) => void
  /** A sync took up what was pending. */
  readonly changesTaken: () => void
  readonly sourceSynced: (resource: string, synced: boolean) => void
  readonly sourceRelisted: (resource: string) => void
  readonly sourceReconnected: (resource: string) => void
  /** Anything came from the server, bookmarks too. */
  readonly sourceHeard: (resource: string) => void
}

export interface DaemonMetrics extends SyncMetrics, SourceMetrics {
  readonly healthAnswered: (path: 'healthz' | 'livez', status: number) => void
  readonly variantChosen: (variant: string) => void
  readonly helperRestarted: () => void
  readonly helperMeasured: (residentBytes: number) => void
  readonly contentType: string
  /** The text of a scrape. */
  readonly print: () => Promise<string>
}

export function createMetrics(options: MetricsOptions): DaemonMetrics {
  const registry = new Registry()
  const metric = createAll(registry)
  const { now } = options
  /** Seconds since 1970, by resource. */
  const heardAt = new Map<string, number>()
  metric.build.set({ version: options.version }, 1)
  return {
    ...syncMetrics(metric, now),
    ...sourceMetrics(metric, (resource) => void heardAt.set(resource, now())),
    healthAnswered: (path, status) => metric[path].inc({ code: String(status) }),
    variantChosen: (variant) => {
      metric.variant.reset()
      metric.variant.set({ variant }, 1)
    },
    helperRestarted: () => metric.helperRestarts.inc(),
    helperMeasured: (residentBytes) => metric.helperMemory.set(residentBytes),
    contentType: registry.contentType,
    print: async () => {
      for (const [resource, at] of heardAt) metric.sourceSilence.set({ resource }, Math.max(0, now() - at))
      setProcessMetrics(registry, (options.readUsage ?? readProcessUsage)())
      await setKernelCounters(registry, options.readCounters)
      return await registry.metrics()
    },
  }
}

function syncMetrics(metric: Created, now: () => number): SyncMetrics {
  return {
    syncQueued: (family) => metric.lastQueued.set(label(family), now()),
    syncEnded: (family, { kind, seconds, succeeded }) => {
      metric.syncDuration.observe(label(family), seconds)
      metric[kind === 'full' ? 'fullSyncDuration' : 'partialSyncDuration'].observe(label(family), seconds)
      if (succeeded) metric.lastSync.set(label(family), now())
    },
    planned: (family, lines) => metric.planLines.observe(label(family), lines),
    compiled: (family, seconds) => metric.compileDuration.observe(label(family), seconds),
    applied: (family, seconds) => metric.applyDuration.observe(label(family), seconds),
    rulesCounted: (family, table, { owned, written }) => {
      metric.rulesOwned.set({ table, ...label(family) }, owned)
      metric.rulesWritten.set({ table, ...label(family) }, written)
    },
    restoreFailed: (family, kind) => {
      metric.restoreFailures.inc(label(family))
      if (kind === 'partial') metric.partialRestoreFailures.inc(label(family))
    },
    batchRestored: (family) => metric.restoreBatches.inc(label(family)),
    servicesIsolated: (family, count) => metric.isolatedServices.set(label(family), count),
    driftFound: (family, kind) => metric.driftFindings.inc({ kind, ...label(family) }),
    conntrackCleaned: (family, { seconds, deleted }) => {
      metric.conntrackDuration.observe(label(family), seconds)
      metric.conntrackDeleted.inc(label(family), deleted)
    },
    networkProgrammed: (family, seconds) => metric.networkProgramming.observe(label(family), seconds),
    noLocalEndpoints: (family, { internal, external }) => {
      metric.noLocalEndpoints.set({ traffic_policy: 'internal', ...label(family) }, internal)
      metric.noLocalEndpoints.set({ traffic_policy: 'external', ...label(family) }, external)
    },
  }
}

function sourceMetrics(metric: Created, heard: (resource: string) => void): SourceMetrics {
  return {
    endpointsChanged: (pending) => {
      metric.endpointChangesTotal.inc()
      metric.endpointChangesPending.set(pending)
    },
    servicesChanged: (pending) => {
      metric.serviceChangesTotal.inc()
      metric.serviceChangesPending.set(pending)
    },
    changesTaken: () => {
      metric.endpointChangesPending.set(0)
      metric.serviceChangesPending.set(0)
    },
    sourceSynced: (resource, synced) => metric.sourceSynced.set({ resource }, synced ? 1 : 0),
    sourceRelisted: (resource) => metric.sourceRelists.inc({ resource }),
    sourceReconnected: (resource) => metric.sourceReconnects.inc({ resource }),
    sourceHeard: heard,
  }
}

/** A metric's class by the kind in its definition. */
type MetricOf<Definition extends MetricDefinition> = Definition extends { readonly kind: infer Kind }
  ? Kind extends 'histogram'
    ? Histogram
    : Kind extends 'counter'
      ? Counter
      : Gauge
  : never

type Created = { readonly [Name in keyof typeof METRICS]: MetricOf<(typeof METRICS)[Name]> }

function createAll(registry: Registry): Created {
  const created = Object.entries(METRICS).map(([name, definition]) => [name, create(definition, registry)])
  return Object.fromEntries(created) as Created
}

function create(definition: MetricDefinition, registry: Registry): Counter | Gauge | Histogram {
  const common = {
    name: definition.name,
    help: definition.help,
    labelNames: [...definition.labels],
    registers: [registry],
  }
  switch (definition.kind) {
    case 'counter':
      return new Counter(common)
    case 'gauge':
      return new Gauge(common)
    case 'histogram':
      return new Histogram({ ...common, buckets: [...definition.buckets] })
    default:
      return definition satisfies never
  }
}

function setProcessMetrics(registry: Registry, usage: ProcessUsage): void {
  for (const [name, definition] of Object.entries(PROCESS_METRICS)) {
    setOrRemove(registry, definition, usage[name as keyof ProcessUsage])
  }
}

async function setKernelCounters(registry: Registry, read: MetricsOptions['readCounters']): Promise<void> {
  const counts = await read?.([...NFACCT_METRICS.keys()]).catch(() => undefined)
  for (const [name, definition] of NFACCT_METRICS) setOrRemove(registry, definition, counts?.get(name))
}

/** Without a value the metric is not there at all: a zero would be a lie. */
function setOrRemove(registry: Registry, definition: MetricDefinition, value: number | undefined): void {
  registry.removeSingleMetric(definition.name)
  if (value === undefined) return
  const metric = create(definition, registry)
  if (metric instanceof Counter) metric.inc(value)
  if (metric instanceof Gauge) metric.set(value)
}

function label(family: Family): { readonly ip_family: 'IPv4' | 'IPv6' } {
  return { ip_family: family === 'ipv4' ? 'IPv4' : 'IPv6' }
}
