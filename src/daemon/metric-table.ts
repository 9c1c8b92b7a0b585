// The metrics that sluice has, as data: those of kube-proxy under their own names, for people's dashboards and alerts,
// and ours under `sluice_`. metrics.ts records into them.
//
// Left out of kube-proxy's: the counters of nftables mode, and what Go and its client libraries report about themselves.

interface Described {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
}

export interface CounterDefinition extends Described {
  readonly kind: 'counter'
}

export interface GaugeDefinition extends Described {
  readonly kind: 'gauge'
}

export interface HistogramDefinition extends Described {
  readonly kind: 'histogram'
  readonly buckets: readonly number[]
}

export type MetricDefinition = CounterDefinition | GaugeDefinition | HistogramDefinition

const FAMILY = ['ip_family'] as const

/** Seconds: 1 ms doubled 14 times. */
const DURATIONS = Array.from({ length: 15 }, (_, power) => (2 ** power * 1000) / 1_000_000)

/** Seconds; the bucket that nothing can fall into is kube-proxy's. */
const PROGRAMMING = [0, 0.25, 0.5, ...range(1, 59, 1), ...range(60, 115, 5), ...range(120, 300, 30)]

const LINES = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]

const KUBE_PROXY = {
  syncDuration: kubeHistogram('sync_proxy_rules_duration_seconds', 'Seconds that a sync took, failed ones too'),
  fullSyncDuration: kubeHistogram('sync_full_proxy_rules_duration_seconds', 'Seconds that a full sync took'),
  partialSyncDuration: kubeHistogram('sync_partial_proxy_rules_duration_seconds', 'Seconds that a partial sync took'),
  lastSync: kube('gauge', 'sync_proxy_rules_last_timestamp_seconds', 'Unix time of the last successful sync', FAMILY),
  lastQueued: kube(
    'gauge',
    'sync_proxy_rules_last_queued_timestamp_seconds',
    'Unix time at which a sync was last asked for',
    FAMILY,
  ),
  networkProgramming: {
    kind: 'histogram',
    name: 'kubeproxy_network_programming_duration_seconds',
    help: '[ALPHA] Seconds from a change of endpoints in the cluster to rules that have it',
    labels: FAMILY,
    buckets: PROGRAMMING,
  },
  endpointChangesPending: kube(
    'gauge',
    'sync_proxy_rules_endpoint_changes_pending',
    'EndpointSlice changes that no sync has taken up yet',
  ),
  endpointChangesTotal: kube('counter', 'sync_proxy_rules_endpoint_changes_total', 'EndpointSlice changes seen'),
  serviceChangesPending: kube(
    'gauge',
    'sync_proxy_rules_service_changes_pending',
    'Service changes that no sync has taken up yet',
  ),
  serviceChangesTotal: kube('counter', 'sync_proxy_rules_service_changes_total', 'Service changes seen'),
  noLocalEndpoints: kube(
    'gauge',
    'sync_proxy_rules_no_local_endpoints_total',
    'Service ports with policy Local whose endpoints all run on other nodes',
    ['traffic_policy', 'ip_family'],
  ),
  healthz: kube('counter', 'proxy_healthz_total', 'Answers of /healthz by status code', ['code']),
  livez: kube('counter', 'proxy_livez_total', 'Answers of /livez by status code', ['code']),
  rulesOwned: kube('gauge', 'sync_proxy_rules_iptables_total', 'iptables rules that the proxy owns', [
    'table',
    'ip_family',
  ]),
  rulesWritten: kube('gauge', 'sync_proxy_rules_iptables_last', 'iptables rules that the last sync wrote', [
    'table',
    'ip_family',
  ]),
  restoreFailures: kube(
    'counter',
    'sync_proxy_rules_iptables_restore_failures_total',
    'Failed runs of iptables-restore',
    FAMILY,
  ),
  partialRestoreFailures: kube(
    'counter',
    'sync_proxy_rules_iptables_partial_restore_failures_total',
    'Failed runs of iptables-restore in a partial sync',
    FAMILY,
  ),
  conntrackDuration: kubeHistogram(
    'conntrack_reconciler_sync_duration_seconds',
    'Seconds that a clean-up of stale conntrack entries took',
  ),
  conntrackDeleted: kube('counter', 'conntrack_reconciler_deleted_entries_total', 'Conntrack entries deleted', FAMILY),
} as const satisfies Record<string, MetricDefinition>

const OWN = {
  driftFindings: own(
    'counter',
    'drift_findings_total',
    'Differences found between the kernel and the rules last written',
    ['ip_family', 'kind'],
  ),
  planLines: ownHistogram('plan_lines', 'Lines of restore input per sync that wrote', LINES),
  compileDuration: ownHistogram(
    'compile_duration_seconds',
    'Seconds from a picture of the cluster to rules',
    DURATIONS,
  ),
  applyDuration: ownHistogram(
    'apply_duration_seconds',
    'Seconds that iptables-restore took per sync that wrote',
    DURATIONS,
  ),
  isolatedServices: own(
    'gauge',
    'isolated_services',
    'Service ports that are not programmed because the kernel refuses their rules',
    FAMILY,
  ),
  restoreBatches: own(
    'counter',
    'restore_batches_total',
    'Restores in batches of Services, because a foreign writer kept the whole from committing',
    FAMILY,
  ),
  sourceSynced: own('gauge', 'source_synced', '1 when the first full list of the resource has arrived, else 0', [
    'resource',
  ]),
  sourceRelists: own('counter', 'source_relists_total', 'Full lists read after the first one', ['resource']),
  sourceReconnects: own('counter', 'source_reconnects_total', 'Watches opened again', ['resource']),
  sourceSilence: own('gauge', 'source_seconds_since_last_event', 'Seconds since the server last sent anything', [
    'resource',
  ]),
  variant: own('gauge', 'iptables_variant_info', '1 for the variant of iptables in use', ['variant']),
  build: own('gauge', 'build_info', '1 for the version that runs', ['version']),
  helperRestarts: own('counter', 'helper_restarts_total', 'Starts of the helper process after the first one'),
  helperMemory: own('gauge', 'helper_resident_memory_bytes', 'Resident memory of the helper process'),
} as const satisfies Record<string, MetricDefinition>

/** By the names that metrics.ts uses. */
export const METRICS = { ...KUBE_PROXY, ...OWN }

/** Metrics of the process under the names that Prometheus' client libraries share, read at each scrape. */
export const PROCESS_METRICS = {
  cpuSeconds: {
    kind: 'counter',
    name: 'process_cpu_seconds_total',
    help: 'Seconds of processor time, user and system',
    labels: [],
  },
  residentBytes: { kind: 'gauge', name: 'process_resident_memory_bytes', help: 'Resident memory', labels: [] },
  heapUsedBytes: { kind: 'gauge', name: 'nodejs_heap_size_used_bytes', help: 'JavaScript heap in use', labels: [] },
  openFiles: { kind: 'gauge', name: 'process_open_fds', help: 'Open file descriptors', labels: [] },
  startSeconds: { kind: 'gauge', name: 'process_start_time_seconds', help: 'Unix time of the start', labels: [] },
} as const satisfies Record<string, MetricDefinition>

/** Counters of the kernel by the nfacct object that counts; absent from a scrape when the kernel does not tell. */
export const NFACCT_METRICS: ReadonlyMap<string, MetricDefinition> = new Map([
  [
    'ct_state_invalid_dropped_pkts',
    kube(
      'counter',
      'iptables_ct_state_invalid_dropped_packets_total',
      'Packets dropped because conntrack finds them invalid',
    ),
  ],
  [
    'localhost_nps_accepted_pkts',
    kube(
      'counter',
      'iptables_localhost_nodeports_accepted_packets_total',
      'Packets accepted on node ports of the loopback address',
    ),
  ],
])

function kube<Kind extends 'counter' | 'gauge'>(
  kind: Kind,
  name: string,
  help: string,
  labels: readonly string[] = [],
): Described & { readonly kind: Kind } {
  return { kind, name: `kubeproxy_${name}`, help: `[ALPHA] ${help}`, labels }
}

function kubeHistogram(name: string, help: string): HistogramDefinition {
  return { kind: 'histogram', name: `kubeproxy_${name}`, help: `[ALPHA] ${help}`, labels: FAMILY, buckets: DURATIONS }
}

function own<Kind extends 'counter' | 'gauge'>(
  kind: Kind,
  name: string,
  help: string,
  labels: readonly string[] = [],
): Described & { readonly kind: Kind } {
  return { kind, name: `sluice_${name}`, help, labels }
}

function ownHistogram(name: string, help: string, buckets: readonly number[]): HistogramDefinition {
  return { kind: 'histogram', name: `sluice_${name}`, help, labels: FAMILY, buckets }
}

function range(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: (to - from) / step + 1 }, (_, index) => from + index * step)
}
