import { describe, expect, test } from 'vitest'
import { defaultProxyConfig } from '../../../src/kube/config/proxy-config.ts'
import type { ProxyConfig } from '../../../src/model/config.ts'
import { accept } from '../../support/proxy-config-text.ts'

const HOUR = 3_600_000

const DEFAULTS: ProxyConfig = {
  mode: 'iptables',
  hostnameOverride: '',
  bindAddress: '0.0.0.0' as ProxyConfig['bindAddress'],
  bindAddressHardFail: false,
  healthzBindAddress: '0.0.0.0:10256',
  metricsBindAddress: '127.0.0.1:10249',
  enableProfiling: false,
  showHiddenMetricsForVersion: '',
  clientConnection: {
    kubeconfig: '',
    acceptContentTypes: '',
    contentType: 'application/vnd.kubernetes.protobuf',
    qps: 5,
    burst: 10,
  },
  featureGates: {},
  masqueradeBit: 14,
  masqueradeAll: false,
  localhostNodePorts: true,
  syncPeriod: 30_000,
  minSyncPeriod: 1_000,
  ipvs: { scheduler: '', excludeCIDRs: [], strictARP: false, tcpTimeout: 0, tcpFinTimeout: 0, udpTimeout: 0 },
  clusterCIDRs: [],
  detectLocalMode: 'ClusterCIDR',
  bridgeInterface: '',
  interfaceNamePrefix: '',
  nodePortAddresses: [],
  oomScoreAdj: -999,
  conntrack: {
    maxPerCore: 32_768,
    min: 131_072,
    tcpEstablishedTimeout: 24 * HOUR,
    tcpCloseWaitTimeout: HOUR,
    tcpBeLiberal: false,
    udpTimeout: 0,
    udpStreamTimeout: 0,
  },
  configSyncPeriod: 900_000,
  logging: { format: 'text', flushFrequency: 5_000, verbosity: 0 },
}

describe('defaults', () => {
  test('a document without fields has every default', () => {
    expect(accept('')).toEqual(DEFAULTS)
    expect(defaultProxyConfig()).toEqual(DEFAULTS)
  })

  test('empty sections and null fields mean the same as absent ones', () => {
    const body = [
      'iptables:',
      'ipvs: {}',
      'mode: null',
      'nodePortAddresses: null',
      'featureGates:',
      'conntrack: {maxPerCore: null, tcpEstablishedTimeout: null}',
      'logging: {flushFrequency: null}',
    ]
    expect(accept(body.join('\n'))).toEqual(DEFAULTS)
  })

  test('ipvs mode has no least time between syncs', () => {
    expect(accept('mode: ipvs')).toEqual({ ...DEFAULTS, mode: 'ipvs', minSyncPeriod: 0 })
  })

  test('nftables mode serves node ports on primary addresses only', () => {
    expect(accept('mode: nftables')).toEqual({ ...DEFAULTS, mode: 'nftables', nodePortAddresses: 'primary' })
    expect(accept('mode: nftables\nnodePortAddresses: [10.0.0.0/8]').nodePortAddresses).toEqual(['10.0.0.0/8'])
  })

  test('an IPv6 bind address moves the servers to IPv6', () => {
    const config = accept('bindAddress: "fd00::1"')
    expect(config.healthzBindAddress).toBe('[::]:10256')
    expect(config.metricsBindAddress).toBe('[::1]:10249')
  })

  test.each([
    ['10.0.0.1', '10.0.0.1:10256'],
    ['"fd00::1"', '[fd00::1]:10256'],
    ['10.0.0.1:99', '10.0.0.1:99'],
    ['"[fd00::1]:99"', '[fd00::1]:99'],
  ])('healthzBindAddress %s gets its port when it has none', (given, expected) => {
    expect(accept(`healthzBindAddress: ${given}`).healthzBindAddress).toBe(expected)
  })

  test('a metricsBindAddress without a port gets 10249', () => {
    expect(accept('metricsBindAddress: 0.0.0.0').metricsBindAddress).toBe('0.0.0.0:10249')
  })

  test('an explicit zero is replaced where kube-proxy replaces it', () => {
    const zeros = [
      'iptables: {syncPeriod: 0s, minSyncPeriod: 0s}',
      'clientConnection: {qps: 0, burst: 0, contentType: ""}',
      'configSyncPeriod: 0s',
      'bindAddress: ""',
      'metricsBindAddress: ""',
      'healthzBindAddress: ""',
    ]
    expect(accept(zeros.join('\n'))).toEqual(DEFAULTS)
    const nftables = accept('mode: nftables\nnftables: {syncPeriod: 0s, minSyncPeriod: 0s}')
    expect([nftables.syncPeriod, nftables.minSyncPeriod]).toEqual([30_000, 1_000])
    expect(accept('mode: ipvs\nipvs: {syncPeriod: 0s}').syncPeriod).toBe(30_000)
  })

  test('an explicit zero is kept where it means something', () => {
    const config = accept(
      [
        'oomScoreAdj: 0',
        'iptables: {masqueradeBit: 0}',
        'conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}',
      ].join('\n'),
    )
    expect(config.oomScoreAdj).toBe(0)
    expect(config.masqueradeBit).toBe(0)
    const zeros = { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0, tcpCloseWaitTimeout: 0 }
    expect(config.conntrack).toEqual({ ...DEFAULTS.conntrack, ...zeros })
  })
})

describe('conversion', () => {
  const SECTIONS = [
    'iptables: {masqueradeBit: 3, masqueradeAll: true, syncPeriod: 10s, minSyncPeriod: 100ms}',
    'ipvs: {syncPeriod: 20s, minSyncPeriod: 200ms}',
    'nftables: {masqueradeBit: 5, masqueradeAll: false, syncPeriod: 40s, minSyncPeriod: 400ms}',
  ].join('\n')

  test.each([
    ['""', 'iptables', 10_000, 100, 3, true],
    ['iptables', 'iptables', 10_000, 100, 3, true],
    ['ipvs', 'ipvs', 20_000, 200, 3, true],
    ['nftables', 'nftables', 40_000, 400, 5, false],
  ])('mode %s takes its periods and masquerading from the right sections', (given, mode, sync, least, bit, all) => {
    const config = accept(`mode: ${given}\n${SECTIONS}`)
    expect(config).toMatchObject({
      mode,
      syncPeriod: sync,
      minSyncPeriod: least,
      masqueradeBit: bit,
      masqueradeAll: all,
    })
  })

  test('clusterCIDR is a list, and networks become canonical', () => {
    expect(accept('clusterCIDR: 10.1.2.3/16,FD00:0::/56').clusterCIDRs).toEqual(['10.1.0.0/16', 'fd00::/56'])
  })

  test('primary stands for the primary addresses', () => {
    expect(accept('nodePortAddresses: [primary]').nodePortAddresses).toBe('primary')
  })

  test('a host name is compared in lower case, without blanks around it', () => {
    expect(accept('hostnameOverride: " Node1 "').hostnameOverride).toBe('node1')
  })

  test('networks that the mode does not use are not judged', () => {
    const config = accept('detectLocalMode: NodeCIDR\nclusterCIDR: nonsense\nipvs: {excludeCIDRs: [nonsense]}')
    expect(config.clusterCIDRs).toEqual([])
    expect(config.ipvs.excludeCIDRs).toEqual([])
  })

  test('every other field arrives', () => {
    const config = accept(
      [
        'bindAddressHardFail: true',
        'enableProfiling: true',
        'showHiddenMetricsForVersion: "1.35"',
        'clientConnection: {kubeconfig: /k, acceptContentTypes: a, contentType: b, qps: 2.5, burst: 3}',
        'mode: ipvs',
        'ipvs: {scheduler: mh, excludeCIDRs: [10.9.0.0/16], strictARP: true, tcpTimeout: 1s, tcpFinTimeout: 2s, udpTimeout: 3s}',
        'detectLocalMode: BridgeInterface',
        'detectLocal: {bridgeInterface: cni0, interfaceNamePrefix: veth}',
        'conntrack: {tcpBeLiberal: true, udpTimeout: 4s, udpStreamTimeout: 5s}',
        'configSyncPeriod: 1m',
        'logging: {format: json, flushFrequency: 1000000, verbosity: 4, options: {json: {infoBufferSize: 64Ki}}}',
        'winkernel: {networkName: n, enableDSR: true}',
        'windowsRunAsService: false',
        'portRange: ""',
      ].join('\n'),
    )
    expect(config).toMatchObject({
      bindAddressHardFail: true,
      enableProfiling: true,
      showHiddenMetricsForVersion: '1.35',
      clientConnection: { kubeconfig: '/k', acceptContentTypes: 'a', contentType: 'b', qps: 2.5, burst: 3 },
      ipvs: {
        scheduler: 'mh',
        excludeCIDRs: ['10.9.0.0/16'],
        strictARP: true,
        tcpTimeout: 1_000,
        tcpFinTimeout: 2_000,
        udpTimeout: 3_000,
      },
      detectLocalMode: 'BridgeInterface',
      bridgeInterface: 'cni0',
      interfaceNamePrefix: 'veth',
      conntrack: { tcpBeLiberal: true, udpTimeout: 4_000, udpStreamTimeout: 5_000 },
      configSyncPeriod: 60_000,
      logging: { format: 'json', flushFrequency: 1, verbosity: 4 },
    })
  })

  test('the fields of recorded clusters are understood', () => {
    const both = 'clusterCIDR: 10.244.0.0/16,fd00:10:244::/56\ndetectLocalMode: ClusterCIDR\n'
    const expected = {
      ...DEFAULTS,
      hostnameOverride: 'node1',
      clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
      conntrack: { ...DEFAULTS.conntrack, maxPerCore: 0, min: 0 },
    }
    expect(recorded(both)).toEqual(expected)
    expect(recorded(`${both}iptables:\n  masqueradeBit: 7\n`)).toEqual({ ...expected, masqueradeBit: 7 })
    expect(recorded(`${both}iptables:\n  masqueradeAll: true\n`)).toEqual({ ...expected, masqueradeAll: true })
    expect(recorded(`${both}iptables:\n  localhostNodePorts: false\n`)).toEqual({
      ...expected,
      localhostNodePorts: false,
    })
    expect(recorded(`${both}nodePortAddresses:\n- 192.168.1.0/24\n- fd00:1::/64\n`)).toEqual({
      ...expected,
      nodePortAddresses: ['192.168.1.0/24', 'fd00:1::/64'],
    })
    expect(recorded(`${both}nodePortAddresses:\n- primary\n`)).toEqual({ ...expected, nodePortAddresses: 'primary' })
    expect(recorded("clusterCIDR: ''\ndetectLocalMode: NodeCIDR\n")).toEqual({
      ...expected,
      clusterCIDRs: [],
      detectLocalMode: 'NodeCIDR',
    })
    const bridge = "clusterCIDR: ''\ndetectLocalMode: BridgeInterface\ndetectLocal:\n  bridgeInterface: cni0\n"
    expect(recorded(bridge)).toMatchObject({ detectLocalMode: 'BridgeInterface', bridgeInterface: 'cni0' })
    const prefix = "clusterCIDR: ''\ndetectLocalMode: InterfaceNamePrefix\ndetectLocal:\n  interfaceNamePrefix: veth\n"
    expect(recorded(prefix)).toMatchObject({ detectLocalMode: 'InterfaceNamePrefix', interfaceNamePrefix: 'veth' })
  })
})

function recorded(body: string): ProxyConfig {
  return accept(`mode: iptables\nhostnameOverride: node1\n${body}conntrack:\n  maxPerCore: 0\n  min: 0\n`)
}
