// From a complete v1alpha1 document to the configuration that holds for the chosen mode, in two steps: first still with
// the user's own texts, because validation reports those; then, when it is valid, with canonical addresses.
import { type Cidr, parseCidr, parseIp } from '../../model/address.ts'
import type { DetectLocalMode, ProxyConfig, ProxyMode } from '../../model/config.ts'
import { nanosecondsToMilliseconds } from './go-duration.ts'
import type { ProxyConfigDocument } from './proxy-config-schema.ts'

/** The document after conversion and platform defaults. Durations are nanoseconds. */
export interface EffectiveProxyConfig {
  readonly document: ProxyConfigDocument
  /** The section of the document that the periods and masqueradeAll come from. */
  readonly section: ProxyMode
  /** Not empty; perhaps none that exists. */
  readonly mode: string
  readonly detectLocalMode: string
  readonly clusterCIDRs: readonly string[]
  readonly nodePortAddresses: readonly string[]
  readonly syncPeriod: bigint
  readonly minSyncPeriod: bigint
}

/** Picks what the mode picks and applies the Linux defaults: iptables mode, ClusterCIDR, `primary` for nftables. */
export function selectEffectiveConfig(document: ProxyConfigDocument): EffectiveProxyConfig {
  const { mode, nodePortAddresses, clusterCIDR } = document
  const section = mode === 'ipvs' || mode === 'nftables' ? mode : 'iptables'
  return {
    document,
    section,
    mode: mode || 'iptables',
    detectLocalMode: document.detectLocalMode || 'ClusterCIDR',
    clusterCIDRs: clusterCIDR === '' ? [] : clusterCIDR.split(','),
    nodePortAddresses: mode === 'nftables' && nodePortAddresses.length === 0 ? ['primary'] : nodePortAddresses,
    syncPeriod: document[section].syncPeriod,
    minSyncPeriod: document[section].minSyncPeriod,
  }
}

/**
 * The configuration in the form the rest of the program uses. Only for one that validates: texts that validation would
 * refuse are dropped or make it throw.
 */
export function toProxyConfig(effective: EffectiveProxyConfig): ProxyConfig {
  const { document, section, nodePortAddresses } = effective
  const bindAddress = parseIp(document.bindAddress)
  if (bindAddress === undefined) throw new Error(`bindAddress ${document.bindAddress} was not validated`)
  return {
    mode: effective.mode as ProxyMode,
    // Node names are compared in this form; see step 8 of kube-proxy's start.
    hostnameOverride: document.hostnameOverride.trim().toLowerCase(),
    bindAddress,
    bindAddressHardFail: document.bindAddressHardFail,
    healthzBindAddress: document.healthzBindAddress,
    metricsBindAddress: document.metricsBindAddress,
    enableProfiling: document.enableProfiling,
    showHiddenMetricsForVersion: document.showHiddenMetricsForVersion,
    clientConnection: document.clientConnection,
    featureGates: document.featureGates,
    masqueradeBit: document[section === 'nftables' ? 'nftables' : 'iptables'].masqueradeBit,
    masqueradeAll: document[section === 'nftables' ? 'nftables' : 'iptables'].masqueradeAll,
    localhostNodePorts: document.iptables.localhostNodePorts,
    syncPeriod: nanosecondsToMilliseconds(effective.syncPeriod),
    minSyncPeriod: nanosecondsToMilliseconds(effective.minSyncPeriod),
    ipvs: toIpvsConfig(document.ipvs),
    clusterCIDRs: toCidrs(effective.clusterCIDRs),
    detectLocalMode: effective.detectLocalMode as DetectLocalMode,
    bridgeInterface: document.detectLocal.bridgeInterface,
    interfaceNamePrefix: document.detectLocal.interfaceNamePrefix,
    nodePortAddresses: nodePortAddresses[0] === 'primary' ? 'primary' : toCidrs(nodePortAddresses),
    oomScoreAdj: document.oomScoreAdj,
    conntrack: toConntrackConfig(document.conntrack),
    configSyncPeriod: nanosecondsToMilliseconds(document.configSyncPeriod),
    logging: {
      format: document.logging.format === 'json' ? 'json' : 'text',
      flushFrequency: nanosecondsToMilliseconds(document.logging.flushFrequency),
      verbosity: document.logging.verbosity,
    },
  }
}

function toIpvsConfig(ipvs: ProxyConfigDocument['ipvs']): ProxyConfig['ipvs'] {
  return {
    scheduler: ipvs.scheduler,
    excludeCIDRs: toCidrs(ipvs.excludeCIDRs),
    strictARP: ipvs.strictARP,
    tcpTimeout: nanosecondsToMilliseconds(ipvs.tcpTimeout),
    tcpFinTimeout: nanosecondsToMilliseconds(ipvs.tcpFinTimeout),
    udpTimeout: nanosecondsToMilliseconds(ipvs.udpTimeout),
  }
}

function toConntrackConfig(conntrack: ProxyConfigDocument['conntrack']): ProxyConfig['conntrack'] {
  return {
    maxPerCore: conntrack.maxPerCore,
    min: conntrack.min,
    tcpEstablishedTimeout: nanosecondsToMilliseconds(conntrack.tcpEstablishedTimeout),
    tcpCloseWaitTimeout: nanosecondsToMilliseconds(conntrack.tcpCloseWaitTimeout),
    tcpBeLiberal: conntrack.tcpBeLiberal,
    udpTimeout: nanosecondsToMilliseconds(conntrack.udpTimeout),
    udpStreamTimeout: nanosecondsToMilliseconds(conntrack.udpStreamTimeout),
  }
}

// Lists that the mode does not use are not validated (ipvs.excludeCIDRs outside ipvs mode, clusterCIDR outside
// ClusterCIDR detection), so what is unreadable in them is dropped: nothing reads it.
function toCidrs(texts: readonly string[]): readonly Cidr[] {
  return texts.flatMap((text) => parseCidr(text) ?? [])
}
