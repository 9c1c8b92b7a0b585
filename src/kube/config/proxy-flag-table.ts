// kube-proxy's command line flags (1.36, Linux) as a table, so that options, help, parsing and messages have one source.
// `--help` and `--version` are missing: every program has its own.

/** What a value may be. A `bool` may stand without a value, and `list` and `gates` may be given several times. */
export type ProxyFlagType =
  | 'string'
  | 'bool'
  | 'int32'
  | 'uint32'
  | 'float32'
  | 'duration'
  | 'ip'
  | 'ip-port'
  | 'list'
  | 'gates'
  | 'vmodule'
  | 'quantity'

export interface ProxyFlag {
  /** Without dashes in front. */
  readonly name: string
  readonly type: ProxyFlagType
  /** As help shows it; empty for none. */
  readonly default: string
  /**
   * Fields of the v1alpha1 document that the flag sets; several where the document has one per mode. None for flags that
   * tell the program what to do, and for the deprecated ports.
   */
  readonly fields: readonly string[]
  /** In our words, without a full stop. */
  readonly help: string
  /** What to use instead. */
  readonly deprecated?: string
  /** Whether it counts beside --config. Such a file replaces all other flags. */
  readonly countsWithConfig: boolean
  /** Whether it can change what is programmed into the kernel for Services. */
  readonly bearsOnRules: boolean
}

type Row = readonly [name: string, type: ProxyFlagType, shown: string, fields: string, help: string]

// They change what is programmed into the kernel for Services.
// biome-ignore format: one flag per line
const RULES: readonly Row[] = [
  ['proxy-mode', 'string', 'iptables', 'mode', 'How to program the node: iptables, ipvs or nftables'],
  ['feature-gates', 'gates', '', 'featureGates', 'Features to turn on or off, as Name=true,Other=false'],
  ['masquerade-all', 'bool', 'false', 'iptables.masqueradeAll nftables.masqueradeAll', 'Masquerade all traffic to cluster IPs'],
  ['iptables-masquerade-bit', 'int32', '14', 'iptables.masqueradeBit', 'Bit of the packet mark that asks for masquerading, 0 to 31 (iptables and ipvs)'],
  ['iptables-localhost-nodeports', 'bool', 'true', 'iptables.localhostNodePorts', 'Serve node ports on 127.0.0.1 as well (iptables, IPv4)'],
  ['detect-local-mode', 'string', 'ClusterCIDR', 'detectLocalMode', "How to recognise traffic of this node's pods: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix"],
  ['cluster-cidr', 'string', '', 'clusterCIDR', 'Network of all pods, or an IPv4 and an IPv6 one with a comma between them (for ClusterCIDR)'],
  ['pod-bridge-interface', 'string', '', 'detectLocal.bridgeInterface', 'Bridge that the pods are attached to (for BridgeInterface)'],
  ['pod-interface-name-prefix', 'string', '', 'detectLocal.interfaceNamePrefix', 'How the names of pod interfaces start (for InterfaceNamePrefix)'],
  ['nodeport-addresses', 'list', '', 'nodePortAddresses', "Networks in which the node's addresses serve node ports, or primary; all addresses by default"],
  ['bind-address', 'ip', '0.0.0.0', 'bindAddress', "The node's address, if the Node object's first is not right; nothing is bound to it"],
  ['ipvs-scheduler', 'string', 'rr', 'ipvs.scheduler', 'How IPVS picks an endpoint'],
  ['conntrack-tcp-be-liberal', 'bool', 'false', 'conntrack.tcpBeLiberal', 'Let TCP packets outside of the window pass, and do not drop invalid ones'],
]

// They concern the running process, its connections and the kernel around the rules.
// biome-ignore format: one flag per line
const DAEMON: readonly Row[] = [
  ['kubeconfig', 'string', '', 'clientConnection.kubeconfig', 'File with the address and credentials of the API server'],
  ['kube-api-content-type', 'string', 'application/vnd.kubernetes.protobuf', 'clientConnection.contentType', 'Encoding to ask the API server for'],
  ['kube-api-qps', 'float32', '5', 'clientConnection.qps', 'Requests a second to the API server'],
  ['kube-api-burst', 'int32', '10', 'clientConnection.burst', 'Requests to the API server that may go out at once'],
  ['bind-address-hard-fail', 'bool', 'false', 'bindAddressHardFail', 'Exit when the health or metrics server cannot listen'],
  ['healthz-bind-address', 'ip-port', '0.0.0.0:10256', 'healthzBindAddress', 'Where the health server listens'],
  ['metrics-bind-address', 'ip-port', '127.0.0.1:10249', 'metricsBindAddress', 'Where the metrics server listens'],
  ['healthz-port', 'int32', '10256', '', 'Port of the health server if its address has none; 0 turns it off'],
  ['metrics-port', 'int32', '10249', '', 'Port of the metrics server if its address has none'],
  ['profiling', 'bool', 'false', 'enableProfiling', 'Serve profiles on the metrics server'],
  ['show-hidden-metrics-for-version', 'string', '', 'showHiddenMetricsForVersion', 'Show metrics that this previous minor version still showed'],
  ['iptables-sync-period', 'duration', '30s', 'iptables.syncPeriod nftables.syncPeriod', 'How often everything is checked (iptables and nftables)'],
  ['iptables-min-sync-period', 'duration', '1s', 'iptables.minSyncPeriod nftables.minSyncPeriod', 'Least time between two changes of the rules (iptables and nftables)'],
  ['ipvs-sync-period', 'duration', '30s', 'ipvs.syncPeriod', 'How often everything is checked (ipvs)'],
  ['ipvs-min-sync-period', 'duration', '1s', 'ipvs.minSyncPeriod', 'Least time between two changes (ipvs)'],
  ['ipvs-exclude-cidrs', 'list', '', 'ipvs.excludeCIDRs', 'Networks whose IPVS virtual servers are left alone'],
  ['ipvs-strict-arp', 'bool', 'false', 'ipvs.strictARP', 'Do not answer ARP for addresses of the IPVS interface'],
  ['ipvs-tcp-timeout', 'duration', '0s', 'ipvs.tcpTimeout', 'When idle IPVS TCP connections are forgotten; 0 leaves it as it is'],
  ['ipvs-tcpfin-timeout', 'duration', '0s', 'ipvs.tcpFinTimeout', 'When IPVS TCP connections are forgotten after a FIN; 0 leaves it as it is'],
  ['ipvs-udp-timeout', 'duration', '0s', 'ipvs.udpTimeout', 'When idle IPVS UDP flows are forgotten; 0 leaves it as it is'],
  ['oom-score-adj', 'int32', '-999', 'oomScoreAdj', 'How willingly the kernel kills the process when memory is short, -1000 to 1000'],
  ['conntrack-max-per-core', 'int32', '32768', 'conntrack.maxPerCore', 'Connections to track for each CPU; 0 leaves the limit as it is'],
  ['conntrack-min', 'int32', '131072', 'conntrack.min', 'Connections to track at least, if conntrack-max-per-core is not 0'],
  ['conntrack-tcp-timeout-established', 'duration', '24h0m0s', 'conntrack.tcpEstablishedTimeout', 'When idle TCP connections are forgotten; 0 leaves it as it is'],
  ['conntrack-tcp-timeout-close-wait', 'duration', '1h0m0s', 'conntrack.tcpCloseWaitTimeout', 'When half-closed TCP connections are forgotten; 0 leaves it as it is'],
  ['conntrack-udp-timeout', 'duration', '0s', 'conntrack.udpTimeout', 'When unanswered UDP flows are forgotten; 0 leaves it as it is'],
  ['conntrack-udp-timeout-stream', 'duration', '0s', 'conntrack.udpStreamTimeout', 'When answered UDP flows are forgotten; 0 leaves it as it is'],
  ['config-sync-period', 'duration', '15m0s', 'configSyncPeriod', 'How often objects are read again from the API server'],
]

// What to do, and what is true of the process whatever it is configured to do.
// biome-ignore format: one flag per line
const PROGRAM: readonly Row[] = [
  ['config', 'string', '', '', 'KubeProxyConfiguration file; it replaces all flags but the logging ones and hostname-override'],
  ['write-config-to', 'string', '', '', 'Write the configuration to this file and exit'],
  ['cleanup', 'bool', 'false', '', 'Remove all rules and exit'],
  ['init-only', 'bool', 'false', '', 'Do what needs root privileges and exit'],
  ['master', 'string', '', '', 'Address of the API server, instead of the one in the kubeconfig'],
  ['hostname-override', 'string', '', 'hostnameOverride', "Name of this node's Node object, if it is not the host's name"],
  ['boot-id-file', 'string', '', '', 'Files to look in for the boot id'],
  ['machine-id-file', 'string', '', '', 'Files to look in for the machine id'],
  ['logging-format', 'string', 'text', 'logging.format', 'Form of log lines: text or json'],
  ['v', 'uint32', '0', 'logging.verbosity', 'How much to log'],
  ['vmodule', 'vmodule', '', 'logging.vmodule', 'How much to log by source file, as pattern=number,...'],
  ['log-flush-frequency', 'duration', '5s', 'logging.flushFrequency', 'Longest time between two flushes of the log'],
  ['log-text-split-stream', 'bool', 'false', 'logging.options.text.splitStream', 'Text form: errors to standard error, the rest to standard output'],
  ['log-text-info-buffer-size', 'quantity', '0', 'logging.options.text.infoBufferSize', 'Text form with split streams: size of the buffer'],
  ['log-json-split-stream', 'bool', 'false', 'logging.options.json.splitStream', 'JSON form: errors to standard error, the rest to standard output'],
  ['log-json-info-buffer-size', 'quantity', '0', 'logging.options.json.infoBufferSize', 'JSON form with split streams: size of the buffer'],
]

const DEPRECATED: Readonly<Record<string, string>> = {
  'healthz-port': 'use --healthz-bind-address',
  'metrics-port': 'use --metrics-bind-address',
}
const BEAR_ON_RULES_BESIDES: ReadonlySet<string> = new Set(['config', 'hostname-override'])

/** All flags, those first that bear on rules. */
export const PROXY_FLAGS: readonly ProxyFlag[] = [
  ...RULES.map((row) => toFlag(row, false, true)),
  ...DAEMON.map((row) => toFlag(row, false, false)),
  ...PROGRAM.map((row) => toFlag(row, true, BEAR_ON_RULES_BESIDES.has(row[0]))),
]

const BY_NAME: ReadonlyMap<string, ProxyFlag> = new Map(PROXY_FLAGS.map((flag) => [flag.name, flag]))

/** The flag of a name as it was typed: dashes in front are dropped, underscores count as dashes. */
export function findProxyFlag(typed: string): ProxyFlag | undefined {
  return BY_NAME.get(normalizeFlagName(typed))
}

/** `iptables-masquerade-bit`, from `--iptables_masquerade_bit` */
export function normalizeFlagName(typed: string): string {
  return typed.replace(/^--?/, '').replaceAll('_', '-')
}

/** How the flag is typed: `--proxy-mode`, `-v`. */
export function spellFlag({ name }: ProxyFlag): string {
  return name.length === 1 ? `-${name}` : `--${name}`
}

function toFlag([name, type, shown, fields, help]: Row, countsWithConfig: boolean, bearsOnRules: boolean): ProxyFlag {
  const deprecated = DEPRECATED[name]
  return {
    name,
    type,
    default: shown,
    fields: fields === '' ? [] : fields.split(' '),
    help,
    ...(deprecated !== undefined && { deprecated }),
    countsWithConfig,
    bearsOnRules,
  }
}
