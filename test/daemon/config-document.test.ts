// The configuration as kube-proxy dumps it: /configz and --write-config-to.
import { describe, expect, test } from 'vitest'
import { printConfigYaml, printConfigz } from '../../src/daemon/config-document.ts'
import { decodeProxyConfig } from '../../src/kube/config/proxy-config.ts'
import type { EffectiveProxyConfig } from '../../src/kube/config/proxy-config-effective.ts'
import { applyFlags } from '../../src/kube/config/proxy-flags.ts'

const HEADER = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'

function effective(decoded: { readonly effective?: EffectiveProxyConfig }): EffectiveProxyConfig {
  if (decoded.effective === undefined) throw new Error('the configuration could not be read')
  return decoded.effective
}

const fromFile = (body: string) => effective(decodeProxyConfig(HEADER + body, 'config.yaml'))

const DEFAULT = [
  '{"kubeproxy.config.k8s.io":{"kind":"KubeProxyConfiguration","apiVersion":"kubeproxy.config.k8s.io/v1alpha1",',
  '"clientConnection":{"kubeconfig":"","acceptContentTypes":"","contentType":"application/vnd.kubernetes.protobuf",',
  '"qps":5,"burst":10},',
  '"logging":{"format":"text","flushFrequency":"5s","verbosity":0,',
  '"options":{"text":{"infoBufferSize":"0"},"json":{"infoBufferSize":"0"}}},',
  '"hostnameOverride":"","bindAddress":"0.0.0.0","healthzBindAddress":"0.0.0.0:10256",',
  '"metricsBindAddress":"127.0.0.1:10249","bindAddressHardFail":false,"enableProfiling":false,',
  '"showHiddenMetricsForVersion":"","mode":"iptables",',
  '"iptables":{"masqueradeBit":14,"masqueradeAll":false,"localhostNodePorts":true,"syncPeriod":"30s",',
  '"minSyncPeriod":"1s"},',
  '"ipvs":{"syncPeriod":"0s","minSyncPeriod":"0s","scheduler":"","excludeCIDRs":null,"strictARP":false,',
  '"tcpTimeout":"0s","tcpFinTimeout":"0s","udpTimeout":"0s"},',
  '"nftables":{"masqueradeBit":14,"masqueradeAll":false,"syncPeriod":"0s","minSyncPeriod":"0s"},',
  '"winkernel":{"networkName":"","sourceVip":"","enableDSR":false,"rootHnsEndpointName":"",',
  '"forwardHealthCheckVip":false},',
  '"detectLocalMode":"ClusterCIDR","detectLocal":{"bridgeInterface":"","interfaceNamePrefix":""},"clusterCIDR":"",',
  '"nodePortAddresses":null,"oomScoreAdj":-999,',
  '"conntrack":{"maxPerCore":32768,"min":131072,"tcpEstablishedTimeout":"24h0m0s","tcpCloseWaitTimeout":"1h0m0s",',
  '"tcpBeLiberal":false,"udpTimeout":"0s","udpStreamTimeout":"0s"},',
  '"configSyncPeriod":"15m0s","portRange":""}}',
].join('')

describe('/configz', () => {
  test('the default, from a file and from flags', () => {
    expect(printConfigz(fromFile(''))).toBe(DEFAULT)
    expect(printConfigz(effective(applyFlags(new Map())))).toBe(DEFAULT)
  })

  test('in nftables mode its section has the periods and masqueradeAll, and node ports are on primary addresses', () => {
    const document = read('mode: nftables\nnftables: { masqueradeAll: true, syncPeriod: 1h, masqueradeBit: 3 }\n')
    expect(document).toMatchObject({
      mode: 'nftables',
      iptables: { masqueradeBit: 14, masqueradeAll: false, syncPeriod: '0s', minSyncPeriod: '0s' },
      ipvs: { syncPeriod: '0s' },
      nftables: { masqueradeBit: 3, masqueradeAll: true, syncPeriod: '1h0m0s', minSyncPeriod: '1s' },
      nodePortAddresses: ['primary'],
    })
  })

  test('in ipvs mode its section has the periods, and masqueradeAll is the one of iptables', () => {
    const document = read(
      'mode: ipvs\nipvs: { minSyncPeriod: 500ms, excludeCIDRs: [10.0.0.0/8] }\niptables: { masqueradeAll: true }\n',
    )
    expect(document).toMatchObject({
      iptables: { masqueradeAll: true, syncPeriod: '0s' },
      ipvs: { syncPeriod: '30s', minSyncPeriod: '500ms', excludeCIDRs: ['10.0.0.0/8'] },
      nftables: { masqueradeAll: false },
    })
  })

  test('what is set is told, in its place', () => {
    const text = printConfigz(
      fromFile(
        'featureGates: { AllowServiceExternalIPs: false }\nclusterCIDR: 10.244.0.0/16,fd00::/56\nlogging: { vmodule: [{ filePattern: a, verbosity: 3 }] }\n',
      ),
    )
    expect(text).toContain('v1alpha1","featureGates":{"AllowServiceExternalIPs":false},"clientConnection":')
    expect(text).toContain('"clusterCIDR":"10.244.0.0/16,fd00::/56"')
    expect(text).toContain('"verbosity":0,"vmodule":[{"filePattern":"a","verbosity":3}],"options":')
  })

  function read(body: string): unknown {
    const document = JSON.parse(printConfigz(fromFile(body))) as Readonly<Record<string, unknown>>
    return document['kubeproxy.config.k8s.io']
  }
})

describe('--write-config-to', () => {
  test('keys are sorted and IPv6 addresses are in quotes', () => {
    const lines = printConfigYaml(fromFile("bindAddress: '::'\n")).split('\n')
    expect(lines.slice(0, 5)).toEqual([
      'apiVersion: kubeproxy.config.k8s.io/v1alpha1',
      'bindAddress: "::"',
      'bindAddressHardFail: false',
      'clientConnection:',
      '  acceptContentTypes: ""',
    ])
    const keys = lines.flatMap((line) => /^(\w+):/.exec(line)?.[1] ?? [])
    expect(keys).toEqual(keys.toSorted())
    expect(keys).toHaveLength(24)
  })

  test.each([
    '',
    "bindAddress: 'fd00::1'\n",
    'mode: ipvs\nipvs: { syncPeriod: 1m, minSyncPeriod: 2s, scheduler: sh, strictARP: true, excludeCIDRs: [10.0.0.0/8] }\n',
    'mode: nftables\nnftables: { masqueradeAll: true, masqueradeBit: 3, syncPeriod: 45s }\n',
    'iptables: { syncPeriod: 1.5s, masqueradeAll: true, localhostNodePorts: false }\n',
    'conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, udpTimeout: 90s, tcpBeLiberal: true }\n',
    'nodePortAddresses: [192.168.0.0/16, fd00::/8]\nclusterCIDR: 10.0.0.0/8,fd01::/56\nlogging: { format: json, verbosity: 4 }\n',
    'featureGates: { AllowServiceExternalIPs: false }\ndetectLocalMode: BridgeInterface\ndetectLocal: { bridgeInterface: cni0 }\n',
    'clientConnection: { kubeconfig: /etc/kubeconfig, qps: 0.5, burst: 20 }\nhostnameOverride: Node1\noomScoreAdj: 0\n',
  ])('what is written is read back as the same configuration: %j', (body) => {
    const given = decodeProxyConfig(HEADER + body, 'given.yaml')
    const written = printConfigYaml(effective(given))
    const again = decodeProxyConfig(written, 'written.yaml')
    expect(again.issues.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(again.config).toEqual(given.config)
    expect(printConfigYaml(effective(again))).toBe(written)
  })
})
