// Names, types, labels and buckets of every metric, against a table written by hand from the spec (5, section 12).
import { describe, expect, test } from 'vitest'
import { createMetrics, type DaemonMetrics } from '../../src/daemon/metrics.ts'

const B1 = '0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 2.048 4.096 8.192 16.384 +Inf'
const B2 = [
  '0 0.25 0.5',
  '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30',
  '31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59',
  '60 65 70 75 80 85 90 95 100 105 110 115 120 150 180 210 240 270 300 +Inf',
].join(' ')

/** Name without `kubeproxy_`, type, labels, buckets. */
const KUBE_PROXY: readonly (readonly [string, string, string, string?])[] = [
  ['sync_proxy_rules_duration_seconds', 'histogram', 'ip_family', B1],
  ['sync_full_proxy_rules_duration_seconds', 'histogram', 'ip_family', B1],
  ['sync_partial_proxy_rules_duration_seconds', 'histogram', 'ip_family', B1],
  ['sync_proxy_rules_last_timestamp_seconds', 'gauge', 'ip_family'],
  ['sync_proxy_rules_last_queued_timestamp_seconds', 'gauge', 'ip_family'],
  ['network_programming_duration_seconds', 'histogram', 'ip_family', B2],
  ['sync_proxy_rules_endpoint_changes_pending', 'gauge', ''],
  ['sync_proxy_rules_endpoint_changes_total', 'counter', ''],
  ['sync_proxy_rules_service_changes_pending', 'gauge', ''],
  ['sync_proxy_rules_service_changes_total', 'counter', ''],
  ['sync_proxy_rules_no_local_endpoints_total', 'gauge', 'ip_family traffic_policy'],
  ['proxy_healthz_total', 'counter', 'code'],
  ['proxy_livez_total', 'counter', 'code'],
  ['sync_proxy_rules_iptables_total', 'gauge', 'ip_family table'],
  ['sync_proxy_rules_iptables_last', 'gauge', 'ip_family table'],
  ['sync_proxy_rules_iptables_restore_failures_total', 'counter', 'ip_family'],
  ['sync_proxy_rules_iptables_partial_restore_failures_total', 'counter', 'ip_family'],
  ['iptables_ct_state_invalid_dropped_packets_total', 'counter', ''],
  ['iptables_localhost_nodeports_accepted_packets_total', 'counter', ''],
  ['conntrack_reconciler_sync_duration_seconds', 'histogram', 'ip_family', B1],
  ['conntrack_reconciler_deleted_entries_total', 'counter', 'ip_family'],
]

const OWN: readonly (readonly [string, string, string, string?])[] = [
  ['drift_findings_total', 'counter', 'ip_family kind'],
  ['plan_lines', 'histogram', 'ip_family', '1 10 100 1000 10000 100000 1000000 +Inf'],
  ['compile_duration_seconds', 'histogram', 'ip_family', B1],
  ['apply_duration_seconds', 'histogram', 'ip_family', B1],
  ['isolated_services', 'gauge', 'ip_family'],
  ['restore_batches_total', 'counter', 'ip_family'],
  ['source_synced', 'gauge', 'resource'],
  ['source_relists_total', 'counter', 'resource'],
  ['source_reconnects_total', 'counter', 'resource'],
  ['source_seconds_since_last_event', 'gauge', 'resource'],
  ['iptables_variant_info', 'gauge', 'variant'],
  ['build_info', 'gauge', 'version'],
  ['helper_restarts_total', 'counter', ''],
  ['helper_resident_memory_bytes', 'gauge', ''],
]

const COUNTERS = new Map([
  ['ct_state_invalid_dropped_pkts', 7],
  ['localhost_nps_accepted_pkts', 0],
])

const USAGE = { cpuSeconds: 1.5, residentBytes: 100, heapUsedBytes: 50, openFiles: 9, startSeconds: 1000 }

function create(readCounters?: () => Promise<ReadonlyMap<string, number>>) {
  let now = 5000
  const metrics = createMetrics({
    version: '1.2.3',
    now: () => now,
    readUsage: () => USAGE,
    ...(readCounters && { readCounters }),
  })
  return {
    metrics,
    advance: (seconds: number) => {
      now += seconds
    },
  }
}

/** Lets everything happen once, for IPv4. */
function recordAll(metrics: DaemonMetrics): void {
  metrics.syncQueued('ipv4')
  metrics.syncEnded('ipv4', { kind: 'full', seconds: 0.1, succeeded: true })
  metrics.syncEnded('ipv4', { kind: 'partial', seconds: 0.01, succeeded: true })
  metrics.planned('ipv4', 14)
  metrics.compiled('ipv4', 0.02)
  metrics.applied('ipv4', 0.03)
  metrics.rulesCounted('ipv4', 'nat', { owned: 100, written: 4 })
  metrics.restoreFailed('ipv4', 'partial')
  metrics.batchRestored('ipv4')
  metrics.servicesIsolated('ipv4', 1)
  metrics.driftFound('ipv4', 'missing chain')
  metrics.conntrackCleaned('ipv4', { seconds: 0.001, deleted: 3 })
  metrics.networkProgrammed('ipv4', 2.5)
  metrics.endpointsChanged(2)
  metrics.servicesChanged(3)
  metrics.noLocalEndpoints('ipv4', { internal: 1, external: 2 })
  metrics.healthAnswered('healthz', 200)
  metrics.healthAnswered('livez', 503)
  metrics.sourceSynced('services', true)
  metrics.sourceRelisted('services')
  metrics.sourceReconnected('services')
  metrics.sourceHeard('services')
  metrics.variantChosen('legacy')
  metrics.variantChosen('nft')
  metrics.helperRestarted()
  metrics.helperMeasured(60)
}

interface Series {
  readonly type: string
  readonly help: string
  readonly labels: string
  readonly buckets?: string
}

/** Reads the text of a scrape without the library that wrote it. */
function readScrape(text: string): ReadonlyMap<string, Series> {
  const found = new Map<string, Series>()
  for (const [, name = '', help = ''] of text.matchAll(/^# HELP (\S+) (.*)$/gm)) {
    const type = new RegExp(`^# TYPE ${name} (\\w+)$`, 'm').exec(text)?.[1] ?? ''
    const lines = text.split('\n').filter((line) => new RegExp(`^${name}(_bucket|_sum|_count)?[ {]`).test(line))
    const labels = new Set(lines.flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label = '']) => label)))
    const buckets = lines.flatMap((line) => /_bucket\{.*le="([^"]+)"/.exec(line)?.[1] ?? [])
    labels.delete('le')
    found.set(name, {
      type,
      help,
      labels: [...labels].toSorted().join(' '),
      ...(buckets.length > 0 && { buckets: buckets.join(' ') }),
    })
  }
  return found
}

describe('the table', () => {
  test('every metric has its name, type, labels and buckets, and there are no others', async () => {
    const { metrics } = create(() => Promise.resolve(COUNTERS))
    recordAll(metrics)
    const scrape = readScrape(await metrics.print())
    const seen = [...scrape]
      .filter(([name]) => /^(kubeproxy|sluice)_/.test(name))
      .map(([name, { type, labels, buckets }]) => [name, type, labels, buckets])
    const rows = (prefix: string, table: typeof OWN) => {
      return table.map(([name, type, labels, buckets]) => [`${prefix}_${name}`, type, labels, buckets])
    }
    const byName = (a: readonly unknown[], b: readonly unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1)
    expect(seen.toSorted(byName)).toEqual([...rows('kubeproxy', KUBE_PROXY), ...rows('sluice', OWN)].toSorted(byName))
  })

  test("kube-proxy's are marked as alpha", async () => {
    const { metrics } = create(() => Promise.resolve(COUNTERS))
    for (const [name, { help }] of readScrape(await metrics.print())) {
      expect([name, help.startsWith('[ALPHA] ')]).toEqual([name, name.startsWith('kubeproxy_')])
    }
  })

  test('metrics with labels show nothing before their first use, others show 0', async () => {
    const { metrics } = create()
    const text = await metrics.print()
    const samples = text.split('\n').filter((line) => /^(kubeproxy|sluice)_/.test(line))
    expect(samples.toSorted()).toEqual([
      'kubeproxy_sync_proxy_rules_endpoint_changes_pending 0',
      'kubeproxy_sync_proxy_rules_endpoint_changes_total 0',
      'kubeproxy_sync_proxy_rules_service_changes_pending 0',
      'kubeproxy_sync_proxy_rules_service_changes_total 0',
      'sluice_build_info{version="1.2.3"} 1',
      'sluice_helper_resident_memory_bytes 0',
      'sluice_helper_restarts_total 0',
    ])
  })
})

describe('values', () => {
  const scrape = async (metrics: DaemonMetrics) => (await metrics.print()).split('\n')

  test('everything that happened is there', async () => {
    const { metrics, advance } = create(() => Promise.resolve(COUNTERS))
    recordAll(metrics)
    advance(12)
    expect(await scrape(metrics)).toEqual(
      expect.arrayContaining([
        'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 2',
        'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1',
        'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1',
        'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 5000',
        'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"} 5000',
        'kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="internal",ip_family="IPv4"} 1',
        'kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="external",ip_family="IPv4"} 2',
        'kubeproxy_proxy_healthz_total{code="200"} 1',
        'kubeproxy_proxy_livez_total{code="503"} 1',
        'kubeproxy_sync_proxy_rules_iptables_total{table="nat",ip_family="IPv4"} 100',
        'kubeproxy_sync_proxy_rules_iptables_last{table="nat",ip_family="IPv4"} 4',
        'kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} 1',
        'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family="IPv4"} 1',
        'kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 3',
        'kubeproxy_iptables_ct_state_invalid_dropped_packets_total 7',
        'kubeproxy_iptables_localhost_nodeports_accepted_packets_total 0',
        'sluice_drift_findings_total{kind="missing chain",ip_family="IPv4"} 1',
        'sluice_source_seconds_since_last_event{resource="services"} 12',
        'sluice_iptables_variant_info{variant="nft"} 1',
        'process_resident_memory_bytes 100',
        'process_cpu_seconds_total 1.5',
        'process_open_fds 9',
      ]),
    )
    expect(await scrape(metrics)).not.toContain('sluice_iptables_variant_info{variant="legacy"} 1')
  })

  test('pending changes are gone when a sync takes them, totals stay', async () => {
    const { metrics } = create()
    metrics.endpointsChanged(4)
    metrics.servicesChanged(5)
    metrics.changesTaken()
    expect(await scrape(metrics)).toEqual(
      expect.arrayContaining([
        'kubeproxy_sync_proxy_rules_endpoint_changes_pending 0',
        'kubeproxy_sync_proxy_rules_endpoint_changes_total 1',
        'kubeproxy_sync_proxy_rules_service_changes_pending 0',
        'kubeproxy_sync_proxy_rules_service_changes_total 1',
      ]),
    )
  })

  test('a failed sync counts as sync and not as success, and a failed full restore is no partial one', async () => {
    const { metrics } = create()
    metrics.syncEnded('ipv6', { kind: 'none', seconds: 0.1, succeeded: false })
    metrics.restoreFailed('ipv6', 'full')
    const text = await metrics.print()
    expect(text).toContain('kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv6"} 1')
    expect(text).not.toContain('last_timestamp_seconds{')
    expect(text).not.toContain('partial_restore_failures_total{')
  })

  test.each([
    ['there is no reader', undefined],
    ['the reader fails', () => Promise.reject(new Error('no netlink'))],
    ['the objects are not there', () => Promise.resolve(new Map<string, number>())],
  ])('kernel counters are absent when %s', async (_, read) => {
    const { metrics } = create(read)
    expect(await metrics.print()).not.toContain('kubeproxy_iptables_')
  })

  test('kernel counters follow the kernel, also when its objects come, go and start again', async () => {
    let counts = new Map(COUNTERS)
    const { metrics } = create(() => Promise.resolve(counts))
    const name = 'kubeproxy_iptables_ct_state_invalid_dropped_packets_total'
    expect(await metrics.print()).toContain(`${name} 7\n`)
    expect((await metrics.print()).match(new RegExp(`^${name} `, 'gm'))).toHaveLength(1)
    counts = new Map()
    expect(await metrics.print()).not.toContain(name)
    counts = new Map([['ct_state_invalid_dropped_pkts', 2]])
    expect(await metrics.print()).toContain(`${name} 2\n`)
  })
})
