// kube-proxy's validation of its configuration: the same rules in the same order, with the same texts, all problems at
// once. It sees the values as the user wrote them, before addresses become canonical.
import { parseCidr } from '../../model/address.ts'
import { FEATURE_GATES, findChangedLockedGates } from './feature-gates.ts'
import { formatGoDuration } from './go-duration.ts'
import { checkBindAddress, checkClusterCidrs, checkHostPort, checkNodePortAddresses } from './proxy-config-addresses.ts'
import type { EffectiveProxyConfig } from './proxy-config-effective.ts'
import { type ConfigProblem, need } from './proxy-config-problem.ts'

type Problems = readonly ConfigProblem[]

/** Of the release whose behaviour is followed, 1.36: only its previous minor version may be asked for. */
const PREVIOUS_MINOR = '1.35'
const PROXY_MODES = ['iptables', 'ipvs', 'nftables']
/** kube-proxy asks for no more than some text, and with other text iptables-restore refuses all rules. */
const INTERFACE_NAME = /^[A-Za-z0-9_.:@-]{1,15}$/
const NO_INTERFACE = 'must be at most 15 letters, digits and _ . : @ -'
const DETECT_LOCAL_MODES = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix', '']
const NOT_NEGATIVE = 'must be greater than or equal to 0'

/** Checks an effective configuration. No problems: it may be converted with toProxyConfig. */
export function validateProxyConfig(config: EffectiveProxyConfig): Problems {
  return [
    ...checkFeatureGates(config),
    ...checkMasqueradeBit(config, 'iptables', 'KubeProxyIPTablesConfiguration'),
    ...(config.mode === 'ipvs' ? checkIpvs(config) : []),
    ...(config.mode === 'nftables' ? checkMasqueradeBit(config, 'nftables', 'KubeProxyNFTablesConfiguration') : []),
    ...checkConntrack(config),
    ...checkOomScore(config),
    ...checkMode(config),
    ...checkBurst(config),
    ...checkPeriods(config),
    ...checkBindAddress(config.document.bindAddress),
    ...checkHostPort('HealthzBindAddress', 'healthzBindAddress', config.document.healthzBindAddress, true),
    ...checkHostPort('MetricsBindAddress', 'metricsBindAddress', config.document.metricsBindAddress, false),
    ...checkNodePortAddresses(config.nodePortAddresses),
    ...checkHiddenMetrics(config),
    ...checkDetectLocalMode(config),
    ...checkDetectLocal(config),
    ...checkLogging(config),
  ]
}

function checkFeatureGates({ document }: EffectiveProxyConfig): Problems {
  const value = document.featureGates
  return findChangedLockedGates(value).map((name) => {
    const lockedTo = FEATURE_GATES.get(name)?.default
    return {
      path: 'featureGates',
      field: `featureGates.${name}`,
      kind: 'Invalid value',
      value,
      reason: `cannot set feature gate ${name} to ${value[name]}, feature is locked to ${lockedTo}`,
      advice: `remove ${name}, it can't be changed any more`,
    }
  })
}

function checkMasqueradeBit(config: EffectiveProxyConfig, section: 'iptables' | 'nftables', path: string): Problems {
  const value = config.document[section].masqueradeBit
  return need(value >= 0 && value <= 31, {
    path: `${path}.MasqueradeBit`,
    field: `${section}.masqueradeBit`,
    value,
    reason: 'must be within the range [0, 31]',
    advice: 'use the number of a bit, from 0 to 31',
  })
}

function checkIpvs({ document: { ipvs } }: EffectiveProxyConfig): Problems {
  const path = 'KubeProxyIPVSConfiguration'
  const excluded = ipvs.excludeCIDRs.flatMap((value, index) =>
    need(parseCidr(value) !== undefined, {
      path: `${path}.ExcludeCidrs[${index}]`,
      field: `ipvs.excludeCIDRs[${index}]`,
      value,
      reason: 'must be a valid CIDR',
      advice: 'write a network, such as 10.0.0.0/8 or fd00::/64',
    }),
  )
  return [
    ...checkNotNegative(`${path}.TCPTimeout`, 'ipvs.tcpTimeout', ipvs.tcpTimeout),
    ...checkNotNegative(`${path}.TCPFinTimeout`, 'ipvs.tcpFinTimeout', ipvs.tcpFinTimeout),
    ...checkNotNegative(`${path}.UDPTimeout`, 'ipvs.udpTimeout', ipvs.udpTimeout),
    ...excluded,
  ]
}

function checkConntrack({ document: { conntrack } }: EffectiveProxyConfig): Problems {
  const path = 'KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration'
  return [
    ...checkNotNegative(`${path}.MaxPerCore`, 'conntrack.maxPerCore', conntrack.maxPerCore),
    ...checkNotNegative(`${path}.Min`, 'conntrack.min', conntrack.min),
    ...checkNotNegative(
      `${path}.TCPEstablishedTimeout`,
      'conntrack.tcpEstablishedTimeout',
      conntrack.tcpEstablishedTimeout,
    ),
    ...checkNotNegative(`${path}.TCPCloseWaitTimeout`, 'conntrack.tcpCloseWaitTimeout', conntrack.tcpCloseWaitTimeout),
    ...checkNotNegative(`${path}.UDPTimeout`, 'conntrack.udpTimeout', conntrack.udpTimeout),
    ...checkNotNegative(`${path}.UDPStreamTimeout`, 'conntrack.udpStreamTimeout', conntrack.udpStreamTimeout),
  ]
}

function checkOomScore({ document: { oomScoreAdj } }: EffectiveProxyConfig): Problems {
  return need(oomScoreAdj >= -1000 && oomScoreAdj <= 1000, {
    path: 'KubeProxyLinuxConfiguration.OOMScoreAdj',
    field: 'oomScoreAdj',
    value: oomScoreAdj,
    reason: 'must be within the range [-1000, 1000]',
    advice: 'use a number from -1000 to 1000',
  })
}

function checkMode({ mode }: EffectiveProxyConfig): Problems {
  return need(PROXY_MODES.includes(mode), {
    path: 'Mode.ProxyMode',
    field: 'mode',
    value: mode,
    reason: `must be ${PROXY_MODES.join(', ')} or blank (blank means the best-available proxy [currently iptables])`,
    advice: `use ${PROXY_MODES.join(', ')}, or leave it out for iptables`,
  })
}

function checkBurst({ document }: EffectiveProxyConfig): Problems {
  return checkNotNegative('ClientConnection.Burst', 'clientConnection.burst', document.clientConnection.burst)
}

function checkPeriods({ document, section, syncPeriod, minSyncPeriod }: EffectiveProxyConfig): Problems {
  return [
    ...checkPositive('ConfigSyncPeriod', 'configSyncPeriod', document.configSyncPeriod),
    ...checkPositive('SyncPeriod', `${section}.syncPeriod`, syncPeriod),
    ...checkNotNegative('MinSyncPeriod', `${section}.minSyncPeriod`, minSyncPeriod),
    ...need(minSyncPeriod <= syncPeriod, {
      path: 'SyncPeriod',
      field: `${section}.minSyncPeriod`,
      // Not a slip: kube-proxy names the one and shows the other.
      value: formatGoDuration(minSyncPeriod),
      reason: 'must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod',
      advice: `use a minSyncPeriod of at most the syncPeriod, which is ${formatGoDuration(syncPeriod)}`,
    }),
  ]
}

function checkHiddenMetrics({ document: { showHiddenMetricsForVersion } }: EffectiveProxyConfig): Problems {
  return need(['', PREVIOUS_MINOR].includes(showHiddenMetricsForVersion), {
    path: 'ShowHiddenMetricsForVersion',
    field: 'showHiddenMetricsForVersion',
    value: showHiddenMetricsForVersion,
    reason:
      `--show-hidden-metrics-for-version must be omitted or have the value '${PREVIOUS_MINOR}'. ` +
      'Only the previous minor version is allowed',
    advice: `leave it out or use ${PREVIOUS_MINOR}`,
  })
}

function checkDetectLocalMode({ detectLocalMode }: EffectiveProxyConfig): Problems {
  const supported = DETECT_LOCAL_MODES.map((mode) => JSON.stringify(mode)).join(', ')
  return need(DETECT_LOCAL_MODES.includes(detectLocalMode), {
    path: 'DetectLocalMode',
    field: 'detectLocalMode',
    kind: 'Unsupported value',
    value: detectLocalMode,
    reason: `supported values: ${supported}`,
    advice: 'use ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix',
  })
}

function checkDetectLocal(config: EffectiveProxyConfig): Problems {
  const { bridgeInterface, interfaceNamePrefix } = config.document.detectLocal
  const path = 'DetectLocalConfiguration'
  switch (config.detectLocalMode) {
    case 'BridgeInterface':
      return need(INTERFACE_NAME.test(bridgeInterface), {
        path: `${path}.InterfaceName`,
        field: 'detectLocal.bridgeInterface',
        value: bridgeInterface,
        reason: bridgeInterface === '' ? 'must not be empty' : NO_INTERFACE,
        advice: 'name the bridge that pods are attached to, such as cni0',
      })
    case 'InterfaceNamePrefix':
      return need(INTERFACE_NAME.test(interfaceNamePrefix), {
        path: `${path}.InterfacePrefix`,
        field: 'detectLocal.interfaceNamePrefix',
        value: interfaceNamePrefix,
        reason: interfaceNamePrefix === '' ? 'must not be empty' : NO_INTERFACE,
        advice: 'write how the names of pod interfaces start, such as veth',
      })
    case 'ClusterCIDR':
      return checkClusterCidrs(config.clusterCIDRs, `${path}.ClusterCIDRs`)
    default:
      return []
  }
}

function checkLogging({ document: { logging } }: EffectiveProxyConfig): Problems {
  return [
    ...need(['text', 'json'].includes(logging.format), {
      path: 'logging.format',
      field: 'logging.format',
      value: logging.format,
      reason: 'Unsupported log format',
      advice: 'use text or json',
    }),
    ...need(logging.verbosity <= 2 ** 31 - 1, {
      path: 'logging.verbosity',
      field: 'logging.verbosity',
      value: logging.verbosity,
      reason: `Must be <= ${2 ** 31 - 1}`,
      advice: 'use a number from 0 to 10',
    }),
    ...need(logging.vmodule.length === 0 || logging.format === 'text', {
      path: 'logging.vmodule',
      field: 'logging.vmodule',
      kind: 'Forbidden',
      value: logging.vmodule.map(({ filePattern, verbosity }) => `${filePattern}=${verbosity}`),
      reason: 'Only supported for text log format',
      advice: 'remove it, or use logging.format text',
    }),
  ]
}

function checkPositive(path: string, field: string, value: bigint): Problems {
  const shown = formatGoDuration(value)
  return need(value > 0n, {
    path,
    field,
    value: shown,
    reason: 'must be greater than 0',
    advice: 'use a positive duration, such as 30s',
  })
}

function checkNotNegative(path: string, field: string, value: bigint | number): Problems {
  const shown = typeof value === 'bigint' ? formatGoDuration(value) : value
  return need(value >= 0, { path, field, value: shown, reason: NOT_NEGATIVE, advice: 'use 0 or more' })
}
