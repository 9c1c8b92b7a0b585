// The effective configuration as a KubeProxyConfiguration v1alpha1 document, complete and in kube-proxy's form: for
// /configz (JSON, members in the order of Kubernetes' types) and --write-config-to (YAML, keys sorted).
import { stringify } from 'yaml'
import { formatGoDuration } from '../kube/config/go-duration.ts'
import type { EffectiveProxyConfig } from '../kube/config/proxy-config-effective.ts'

/** Nested records of JSON values; the order of members counts. */
export type ConfigDocument = Readonly<Record<string, unknown>>

/**
 * The document that stands for this configuration. What the mode does not use is not told: periods and masqueradeAll
 * appear in the section of the active mode only. Empty lists are null.
 */
function toConfigDocument(effective: EffectiveProxyConfig): ConfigDocument {
  const { document } = effective
  const { apiVersion: _, kind: __, ...fields } = document
  return {
    kind: 'KubeProxyConfiguration',
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    ...(Object.keys(fields.featureGates).length > 0 && { featureGates: fields.featureGates }),
    clientConnection: pick(fields.clientConnection, [
      'kubeconfig',
      'acceptContentTypes',
      'contentType',
      'qps',
      'burst',
    ]),
    logging: loggingSection(fields.logging),
    ...pick(fields, [
      'hostnameOverride',
      'bindAddress',
      'healthzBindAddress',
      'metricsBindAddress',
      'bindAddressHardFail',
      'enableProfiling',
      'showHiddenMetricsForVersion',
    ]),
    mode: effective.mode,
    ...modeSections(effective),
    winkernel: pick(fields.winkernel, [
      'networkName',
      'sourceVip',
      'enableDSR',
      'rootHnsEndpointName',
      'forwardHealthCheckVip',
    ]),
    detectLocalMode: effective.detectLocalMode,
    detectLocal: pick(fields.detectLocal, ['bridgeInterface', 'interfaceNamePrefix']),
    clusterCIDR: effective.clusterCIDRs.join(','),
    nodePortAddresses: listOrNull(effective.nodePortAddresses),
    oomScoreAdj: fields.oomScoreAdj,
    conntrack: {
      ...pick(fields.conntrack, ['maxPerCore', 'min']),
      tcpEstablishedTimeout: formatGoDuration(fields.conntrack.tcpEstablishedTimeout),
      tcpCloseWaitTimeout: formatGoDuration(fields.conntrack.tcpCloseWaitTimeout),
      tcpBeLiberal: fields.conntrack.tcpBeLiberal,
      udpTimeout: formatGoDuration(fields.conntrack.udpTimeout),
      udpStreamTimeout: formatGoDuration(fields.conntrack.udpStreamTimeout),
    },
    configSyncPeriod: formatGoDuration(fields.configSyncPeriod),
    portRange: fields.portRange,
    ...(fields.windowsRunAsService && { windowsRunAsService: true }),
  }
}

/** The body of /configz. */
export function printConfigz(effective: EffectiveProxyConfig): string {
  return JSON.stringify({ 'kubeproxy.config.k8s.io': toConfigDocument(effective) })
}

/** The file that --write-config-to writes; decodeProxyConfig reads the same configuration from it. */
export function printConfigYaml(effective: EffectiveProxyConfig): string {
  return stringify(toConfigDocument(effective), { sortMapEntries: true, indentSeq: false, lineWidth: 0 })
}

function modeSections(effective: EffectiveProxyConfig): ConfigDocument {
  const { document, section } = effective
  const { iptables, ipvs, nftables } = document
  const masqueradeAll = document[section === 'nftables' ? 'nftables' : 'iptables'].masqueradeAll
  const periods = (mode: EffectiveProxyConfig['section']) => ({
    syncPeriod: formatGoDuration(mode === section ? effective.syncPeriod : 0n),
    minSyncPeriod: formatGoDuration(mode === section ? effective.minSyncPeriod : 0n),
  })
  return {
    iptables: {
      masqueradeBit: iptables.masqueradeBit,
      masqueradeAll: section !== 'nftables' && masqueradeAll,
      localhostNodePorts: iptables.localhostNodePorts,
      ...periods('iptables'),
    },
    ipvs: {
      ...periods('ipvs'),
      scheduler: ipvs.scheduler,
      excludeCIDRs: listOrNull(ipvs.excludeCIDRs),
      strictARP: ipvs.strictARP,
      tcpTimeout: formatGoDuration(ipvs.tcpTimeout),
      tcpFinTimeout: formatGoDuration(ipvs.tcpFinTimeout),
      udpTimeout: formatGoDuration(ipvs.udpTimeout),
    },
    nftables: {
      masqueradeBit: nftables.masqueradeBit,
      masqueradeAll: section === 'nftables' && masqueradeAll,
      ...periods('nftables'),
    },
  }
}

function loggingSection(logging: EffectiveProxyConfig['document']['logging']): ConfigDocument {
  const output = ({ splitStream, infoBufferSize }: (typeof logging.options)['text']) => ({
    ...(splitStream && { splitStream }),
    infoBufferSize: String(infoBufferSize),
  })
  return {
    format: logging.format,
    flushFrequency: formatGoDuration(logging.flushFrequency),
    verbosity: logging.verbosity,
    ...(logging.vmodule.length > 0 && { vmodule: logging.vmodule }),
    options: { text: output(logging.options.text), json: output(logging.options.json) },
  }
}

/** These members, in this order. */
function pick<From extends object>(from: From, names: readonly (keyof From & string)[]): ConfigDocument {
  return Object.fromEntries(names.map((name) => [name, from[name]]))
}

function listOrNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list
}
