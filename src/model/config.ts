// The proxy's effective configuration: KubeProxyConfiguration v1alpha1 after flags, defaults and conversion.
// Durations are milliseconds. What only the daemon needs is here too, so that one decoder serves all commands.
import type { Cidr, Ip } from './address.ts'

export type ProxyMode = 'iptables' | 'ipvs' | 'nftables'
export type DetectLocalMode = 'ClusterCIDR' | 'NodeCIDR' | 'BridgeInterface' | 'InterfaceNamePrefix'

export interface ProxyConfig {
  readonly mode: ProxyMode
  /** Empty: the host's own name. */
  readonly hostnameOverride: string
  /** Node IP override; unspecified (0.0.0.0, ::) means none. */
  readonly bindAddress: Ip
  readonly bindAddressHardFail: boolean
  /** `ip:port` */
  readonly healthzBindAddress: string
  /** `ip:port` */
  readonly metricsBindAddress: string
  readonly enableProfiling: boolean
  readonly showHiddenMetricsForVersion: string
  readonly clientConnection: ClientConnection
  readonly featureGates: Readonly<Record<string, boolean>>
  /** Bit of the masquerade mark, 0 to 31. */
  readonly masqueradeBit: number
  readonly masqueradeAll: boolean
  readonly localhostNodePorts: boolean
  readonly syncPeriod: number
  readonly minSyncPeriod: number
  readonly ipvs: IpvsConfig
  readonly clusterCIDRs: readonly Cidr[]
  readonly detectLocalMode: DetectLocalMode
  readonly bridgeInterface: string
  readonly interfaceNamePrefix: string
  /** `primary`: the node's primary addresses. Empty: all local addresses. */
  readonly nodePortAddresses: 'primary' | readonly Cidr[]
  readonly oomScoreAdj: number
  readonly conntrack: ConntrackConfig
  readonly configSyncPeriod: number
  readonly logging: LoggingConfig
}

export interface ClientConnection {
  readonly kubeconfig: string
  readonly acceptContentTypes: string
  readonly contentType: string
  readonly qps: number
  readonly burst: number
}

export interface IpvsConfig {
  /** Empty: rr. */
  readonly scheduler: string
  readonly excludeCIDRs: readonly Cidr[]
  readonly strictARP: boolean
  readonly tcpTimeout: number
  readonly tcpFinTimeout: number
  readonly udpTimeout: number
}

/** 0 leaves the system's value. */
export interface ConntrackConfig {
  readonly maxPerCore: number
  readonly min: number
  readonly tcpEstablishedTimeout: number
  readonly tcpCloseWaitTimeout: number
  readonly tcpBeLiberal: boolean
  readonly udpTimeout: number
  readonly udpStreamTimeout: number
}

export interface LoggingConfig {
  readonly format: 'text' | 'json'
  readonly flushFrequency: number
  readonly verbosity: number
}
