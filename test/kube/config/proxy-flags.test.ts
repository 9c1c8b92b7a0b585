import { describe, expect, test } from 'vitest'
import { defaultProxyConfig } from '../../../src/kube/config/proxy-config.ts'
import { formatConfigProblems } from '../../../src/kube/config/proxy-config-problem.ts'
import type { GivenFlag } from '../../../src/kube/config/proxy-flag-values.ts'
import { applyFlags, resolveProxyConfig } from '../../../src/kube/config/proxy-flags.ts'
import type { ProxyConfig } from '../../../src/model/config.ts'
import { formatIssue } from '../../../src/model/issue.ts'

const HEADER = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'
type Given = Readonly<Record<string, GivenFlag>>

function given(flags: Given): ReadonlyMap<string, GivenFlag> {
  return new Map(Object.entries(flags))
}

function accept(flags: Given): ProxyConfig {
  const { config, issues } = applyFlags(given(flags))
  expect(issues.map(formatIssue)).toEqual([])
  if (config === undefined) throw new Error('no configuration and no issue')
  return config
}

function refuse(flags: Given): readonly string[] {
  const { config, issues } = applyFlags(given(flags))
  expect(config).toBeUndefined()
  return issues.filter(({ severity }) => severity === 'error').map(formatIssue)
}

function withFile(body: string, flags: Given) {
  return resolveProxyConfig({ configText: HEADER + body, configSource: 'config.yaml', flags: given(flags) })
}

describe('flags alone', () => {
  test('no flags give the defaults', () => {
    expect(accept({})).toEqual(defaultProxyConfig())
    expect(resolveProxyConfig({ flags: new Map() })).toMatchObject({
      config: defaultProxyConfig(),
      issues: [],
      problems: [],
    })
  })

  test.each<[Given, object]>([
    [{ 'proxy-mode': 'ipvs' }, { mode: 'ipvs' }],
    [{ 'proxy-mode': 'nftables' }, { mode: 'nftables', nodePortAddresses: 'primary' }],
    [{ 'proxy-mode': '' }, { mode: 'iptables' }],
    [{ 'feature-gates': 'AllowServiceExternalIPs=false' }, { featureGates: { AllowServiceExternalIPs: false } }],
    [{ 'masquerade-all': true }, { masqueradeAll: true }],
    [{ 'masquerade-all': 'T' }, { masqueradeAll: true }],
    [{ 'masquerade-all': true, 'proxy-mode': 'nftables' }, { masqueradeAll: true }],
    [{ 'masquerade-all': true, 'proxy-mode': 'ipvs' }, { masqueradeAll: true }],
    [{ 'iptables-masquerade-bit': '7' }, { masqueradeBit: 7 }],
    [{ 'iptables-masquerade-bit': '0x1f' }, { masqueradeBit: 31 }],
    [{ 'iptables-masquerade-bit': '010' }, { masqueradeBit: 8 }],
    [{ 'iptables-masquerade-bit': '7', 'proxy-mode': 'ipvs' }, { masqueradeBit: 7 }],
    [{ 'iptables-masquerade-bit': '7', 'proxy-mode': 'nftables' }, { masqueradeBit: 14 }],
    [{ 'iptables-masquerade-bit': ['1', '2'] }, { masqueradeBit: 2 }],
    [{ 'iptables-localhost-nodeports': 'false' }, { localhostNodePorts: false }],
    [{ 'detect-local-mode': 'NodeCIDR' }, { detectLocalMode: 'NodeCIDR' }],
    [{ 'cluster-cidr': '10.0.0.0/8,fd00::/48' }, { clusterCIDRs: ['10.0.0.0/8', 'fd00::/48'] }],
    [
      { 'detect-local-mode': 'BridgeInterface', 'pod-bridge-interface': 'cni0' },
      { detectLocalMode: 'BridgeInterface', bridgeInterface: 'cni0' },
    ],
    [
      { 'detect-local-mode': 'InterfaceNamePrefix', 'pod-interface-name-prefix': 'veth' },
      { detectLocalMode: 'InterfaceNamePrefix', interfaceNamePrefix: 'veth' },
    ],
    [{ 'nodeport-addresses': '10.0.0.0/8,fd00::/48' }, { nodePortAddresses: ['10.0.0.0/8', 'fd00::/48'] }],
    [{ 'nodeport-addresses': ['10.0.0.0/8', 'fd00::/48'] }, { nodePortAddresses: ['10.0.0.0/8', 'fd00::/48'] }],
    [{ 'nodeport-addresses': 'primary' }, { nodePortAddresses: 'primary' }],
    [{ 'nodeport-addresses': '' }, { nodePortAddresses: [] }],
    [{ 'bind-address': 'FD00::1' }, { bindAddress: 'fd00::1', healthzBindAddress: '0.0.0.0:10256' }],
    [{ 'bind-address': '' }, { bindAddress: '0.0.0.0' }],
    [{ 'hostname-override': ' Node1 ' }, { hostnameOverride: 'node1' }],
    [{ 'hostname-override': '' }, { hostnameOverride: '' }],
    [{ 'ipvs-scheduler': 'sh' }, { ipvs: { scheduler: 'sh' } }],
    [{ 'ipvs-exclude-cidrs': '10.9.0.0/16' }, { ipvs: { excludeCIDRs: ['10.9.0.0/16'] } }],
    [{ 'ipvs-strict-arp': true }, { ipvs: { strictARP: true } }],
    [
      { 'ipvs-tcp-timeout': '1s', 'ipvs-tcpfin-timeout': '2s', 'ipvs-udp-timeout': '3s' },
      { ipvs: { tcpTimeout: 1_000, tcpFinTimeout: 2_000, udpTimeout: 3_000 } },
    ],
    [{ kubeconfig: '/k', 'kube-api-content-type': 'application/json' }, { clientConnection: { kubeconfig: '/k' } }],
    [{ 'kube-api-qps': '0', 'kube-api-burst': '0' }, { clientConnection: { qps: 0, burst: 0 } }],
    [{ 'kube-api-qps': '2.5' }, { clientConnection: { qps: 2.5 } }],
    [
      { 'bind-address-hard-fail': true, profiling: true },
      { bindAddressHardFail: true, enableProfiling: true },
    ],
    [{ 'show-hidden-metrics-for-version': '1.35' }, { showHiddenMetricsForVersion: '1.35' }],
    [{ 'oom-score-adj': '-5' }, { oomScoreAdj: -5 }],
    [{ 'conntrack-max-per-core': '0', 'conntrack-min': '5' }, { conntrack: { maxPerCore: 0, min: 5 } }],
    [
      { 'conntrack-tcp-timeout-established': '1h', 'conntrack-tcp-timeout-close-wait': '0' },
      { conntrack: { tcpEstablishedTimeout: 3_600_000, tcpCloseWaitTimeout: 0 } },
    ],
    [{ 'conntrack-tcp-be-liberal': true }, { conntrack: { tcpBeLiberal: true } }],
    [
      { 'conntrack-udp-timeout': '1s', 'conntrack-udp-timeout-stream': '2s' },
      { conntrack: { udpTimeout: 1_000, udpStreamTimeout: 2_000 } },
    ],
    [{ 'config-sync-period': '1m' }, { configSyncPeriod: 60_000 }],
    [
      { 'logging-format': 'json', v: '4', 'log-flush-frequency': '1s', 'log-json-info-buffer-size': '64Ki' },
      { logging: { format: 'json', verbosity: 4, flushFrequency: 1_000 } },
    ],
    [{ vmodule: 'proxier*=5,x=1', 'log-text-split-stream': true }, {}],
    [{ master: 'https://x', cleanup: true, 'init-only': 'false', 'boot-id-file': 'a', 'machine-id-file': 'b' }, {}],
    [{ iptables_masquerade_bit: '9' }, { masqueradeBit: 9 }],
  ])('%j counts', (flags, expected) => {
    expect(accept(flags)).toMatchObject(expected)
  })

  test.each([
    [{ 'iptables-sync-period': '1m', 'iptables-min-sync-period': '0' }, 60_000, 0],
    [{ 'proxy-mode': 'nftables', 'iptables-sync-period': '1m', 'iptables-min-sync-period': '2s' }, 60_000, 2_000],
    [{ 'proxy-mode': 'ipvs', 'ipvs-sync-period': '1m', 'ipvs-min-sync-period': '0s' }, 60_000, 0],
    [{ 'proxy-mode': 'ipvs' }, 30_000, 1_000],
  ])('%j sets the periods of its mode', (flags, syncPeriod, minSyncPeriod) => {
    expect(accept(flags)).toMatchObject({ syncPeriod, minSyncPeriod })
  })

  test.each([
    [{ 'ipvs-sync-period': '1m' }, /--ipvs-sync-period: has no effect in iptables mode: use --iptables-sync-period/],
    [
      { 'proxy-mode': 'ipvs', 'iptables-min-sync-period': '9s' },
      /--iptables-min-sync-period: has no effect in ipvs mode: use --ipvs-min-sync-period/,
    ],
  ])('%j leaves the periods alone and says so', (flags, message) => {
    const { config, issues } = applyFlags(given(flags))
    expect(config).toMatchObject({ syncPeriod: 30_000, minSyncPeriod: 1_000 })
    expect(issues.map(({ severity }) => severity)).toEqual(['notice'])
    expect(issues.map(formatIssue)).toEqual([expect.stringMatching(message)])
  })

  test('feature gates of several flags are merged', () => {
    expect(accept({ 'feature-gates': ['AllowServiceExternalIPs=false', 'MultiCIDRServiceAllocator=1'] })).toMatchObject(
      {
        featureGates: { AllowServiceExternalIPs: false, MultiCIDRServiceAllocator: true },
      },
    )
  })
})

describe('addresses of the servers', () => {
  const addresses = (flags: Given) => {
    const { config } = applyFlags(given(flags))
    return [config?.healthzBindAddress, config?.metricsBindAddress]
  }

  test.each<[Given, string, string]>([
    [{ 'healthz-bind-address': '10.0.0.1' }, '10.0.0.1:10256', '127.0.0.1:10249'],
    [{ 'healthz-bind-address': '10.0.0.1', 'healthz-port': '99' }, '10.0.0.1:99', '127.0.0.1:10249'],
    [{ 'healthz-bind-address': '10.0.0.1:5', 'healthz-port': '99' }, '10.0.0.1:5', '127.0.0.1:10249'],
    [{ 'healthz-port': '0' }, '', '127.0.0.1:10249'],
    [{ 'metrics-bind-address': 'fd00::1', 'metrics-port': '99' }, '0.0.0.0:10256', '[fd00::1]:99'],
    [{ 'metrics-bind-address': '' }, '0.0.0.0:10256', '127.0.0.1:10249'],
  ])('%j', (flags, healthz, metrics) => {
    expect(addresses(flags)).toEqual([healthz, metrics])
  })

  test('--metrics-port=0 is refused by validation', () => {
    const { config, problems } = applyFlags(given({ 'metrics-port': '0' }))
    expect(config).toBeUndefined()
    expect(formatConfigProblems(problems)).toBe(
      'KubeProxyConfiguration.MetricsBindAddress: Invalid value: "": must be IP:port',
    )
  })

  test('an address is not completed when the configuration is only written out', () => {
    expect(refuse({ 'write-config-to': 'x', 'healthz-bind-address': '10.0.0.1' })).toEqual([
      expect.stringMatching(/^command line: --healthz-bind-address: .*HealthzBindAddress: .*must be IP:port/),
    ])
  })

  test('the deprecated port flags say what to use', () => {
    const { issues } = applyFlags(given({ 'healthz-port': '99' }))
    expect(issues.map(formatIssue)).toEqual(['command line: --healthz-port: is deprecated: use --healthz-bind-address'])
  })
})

describe('flags beside a file', () => {
  test('only logging flags and --hostname-override count; every other one is a notice', () => {
    const { config, issues } = withFile('hostnameOverride: a\niptables: {masqueradeBit: 3}\nlogging: {verbosity: 1}', {
      config: 'config.yaml',
      'hostname-override': 'B',
      v: '5',
      'proxy-mode': 'ipvs',
      'iptables-masquerade-bit': '9',
      'healthz-port': '0',
    })
    expect(config).toMatchObject({
      mode: 'iptables',
      hostnameOverride: 'b',
      masqueradeBit: 3,
      healthzBindAddress: '0.0.0.0:10256',
      logging: { verbosity: 5 },
    })
    expect(issues.every(({ severity }) => severity === 'notice')).toBe(true)
    expect(issues.map(formatIssue)).toEqual([
      'command line: --healthz-port: is deprecated: use --healthz-bind-address',
      'command line: --proxy-mode: has no effect, because --config replaces it: set mode in config.yaml instead',
      'command line: --iptables-masquerade-bit: has no effect, because --config replaces it: set iptables.masqueradeBit in config.yaml instead',
      'command line: --healthz-port: has no effect, because --config replaces it: remove it',
    ])
  })

  test('a bad value of a flag without effect is still an error', () => {
    expect(withFile('', { 'iptables-masquerade-bit': 'x' }).config).toBeUndefined()
  })

  test('problems stand at the flag or at the line that causes them', () => {
    const { issues } = withFile('oomScoreAdj: 5000\nlogging: {format: json}', { 'logging-format': 'xml' })
    expect(issues.map(formatIssue)).toEqual([
      expect.stringMatching(/^config\.yaml, line 3: oomScoreAdj: 5000 is not allowed/),
      expect.stringMatching(/^command line: --logging-format: "xml" is not allowed: use text or json/),
    ])
  })

  test('ipvs mode has no least time between syncs from a file, and one second from flags', () => {
    expect(withFile('mode: ipvs', {}).config?.minSyncPeriod).toBe(0)
    expect(accept({ 'proxy-mode': 'ipvs' }).minSyncPeriod).toBe(1_000)
  })

  test('a file that cannot be read leaves no configuration', () => {
    const { config, issues } = resolveProxyConfig({ configText: 'x', flags: new Map() })
    expect(config).toBeUndefined()
    expect(issues).toHaveLength(1)
  })
})
