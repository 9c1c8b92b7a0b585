import { describe, expect, test } from 'vitest'
import { formatConfigProblems } from '../../../src/kube/config/proxy-config-problem.ts'
import { formatIssue } from '../../../src/model/issue.ts'
import { accept, decode } from '../../support/proxy-config-text.ts'

describe('validation', () => {
  const CONNTRACK = 'KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration'
  const HOST_PORT_PATHS = [
    ['HealthzBindAddress', 'healthzBindAddress'],
    ['MetricsBindAddress', 'metricsBindAddress'],
  ] as const
  const PAIR = 'must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]'
  const MODES = 'must be iptables, ipvs, nftables or blank (blank means the best-available proxy [currently iptables])'
  const DETECTORS = '"ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", ""'

  // In the order in which they are reported: what stands in the file, and kube-proxy's text without the common prefix.
  const RULES: readonly (readonly [body: string, text: string])[] = [
    [
      'featureGates: {MultiCIDRServiceAllocator: false}',
      'featureGates: Invalid value: {"MultiCIDRServiceAllocator":false}: cannot set feature gate MultiCIDRServiceAllocator to false, feature is locked to true',
    ],
    [
      'iptables: {masqueradeBit: 40}',
      'KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 40: must be within the range [0, 31]',
    ],
    [
      'mode: nftables\niptables: {masqueradeBit: -1}',
      'KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: -1: must be within the range [0, 31]',
    ],
    ...(['TCPTimeout', 'TCPFinTimeout', 'UDPTimeout'] as const).map((name) => {
      const field = name.replace(/^TCP|^UDP/, (start) => start.toLowerCase())
      return [
        `mode: ipvs\nipvs: {${field}: -1s}`,
        `KubeProxyIPVSConfiguration.${name}: Invalid value: "-1s": must be greater than or equal to 0`,
      ] as const
    }),
    [
      'mode: ipvs\nipvs: {excludeCIDRs: [10.0.0.0/8, 10.0.0.1]}',
      'KubeProxyIPVSConfiguration.ExcludeCidrs[1]: Invalid value: "10.0.0.1": must be a valid CIDR',
    ],
    [
      'mode: nftables\nnftables: {masqueradeBit: 32}',
      'KubeProxyNFTablesConfiguration.MasqueradeBit: Invalid value: 32: must be within the range [0, 31]',
    ],
    ['conntrack: {maxPerCore: -1}', `${CONNTRACK}.MaxPerCore: Invalid value: -1: must be greater than or equal to 0`],
    ['conntrack: {min: -1}', `${CONNTRACK}.Min: Invalid value: -1: must be greater than or equal to 0`],
    ...(['TCPEstablishedTimeout', 'TCPCloseWaitTimeout', 'UDPTimeout', 'UDPStreamTimeout'] as const).map((name) => {
      const field = name.replace(/^TCP|^UDP/, (start) => start.toLowerCase())
      return [
        `conntrack: {${field}: -90s}`,
        `${CONNTRACK}.${name}: Invalid value: "-1m30s": must be greater than or equal to 0`,
      ] as const
    }),
    [
      'oomScoreAdj: 1001',
      'KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: 1001: must be within the range [-1000, 1000]',
    ],
    [
      'oomScoreAdj: -1001',
      'KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: -1001: must be within the range [-1000, 1000]',
    ],
    ['mode: userspace', `Mode.ProxyMode: Invalid value: "userspace": ${MODES}`],
    ['clientConnection: {burst: -1}', 'ClientConnection.Burst: Invalid value: -1: must be greater than or equal to 0'],
    ['configSyncPeriod: -1s', 'ConfigSyncPeriod: Invalid value: "-1s": must be greater than 0'],
    [
      'mode: ipvs\nipvs: {minSyncPeriod: -1s}',
      'MinSyncPeriod: Invalid value: "-1s": must be greater than or equal to 0',
    ],
    [
      'iptables: {syncPeriod: 5s, minSyncPeriod: 1m}',
      'SyncPeriod: Invalid value: "1m0s": must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod',
    ],
    [
      'bindAddress: nowhere\nhealthzBindAddress: 0.0.0.0\nmetricsBindAddress: 0.0.0.0',
      'BindAddress: Invalid value: "nowhere": not a valid textual representation of an IP address',
    ],
    ...HOST_PORT_PATHS.flatMap(([path, field]) => [
      [`${field}: somewhere`, `${path}: Invalid value: "somewhere": must be IP:port`] as const,
      [`${field}: "host:80"`, `${path}: Invalid value: "host": must be a valid IP`] as const,
      [`${field}: "1.2.3.4:0"`, `${path}: Invalid value: "0": must be a valid port`] as const,
      [`${field}: "1.2.3.4:65536"`, `${path}: Invalid value: "65536": must be a valid port`] as const,
      [`${field}: "1.2.3.4:x"`, `${path}: Invalid value: "x": must be a valid port`] as const,
      [`${field}: "fd00::1:80:"`, `${path}: Invalid value: "fd00::1:80:": must be IP:port`] as const,
    ]),
    [
      'nodePortAddresses: [10.0.0.0/8, 10.0.0.1]',
      'NodePortAddresses[1]: Invalid value: "10.0.0.1": must be a valid CIDR',
    ],
    [
      'nodePortAddresses: [primary, 10.0.0.0/8]',
      `NodePortAddresses[0]: Invalid value: "primary": can't use both 'primary' and CIDRs`,
    ],
    [
      'nodePortAddresses: [10.0.0.0/8, primary]',
      `NodePortAddresses[1]: Invalid value: "primary": can't use both 'primary' and CIDRs`,
    ],
    [
      'showHiddenMetricsForVersion: "1.34"',
      `ShowHiddenMetricsForVersion: Invalid value: "1.34": --show-hidden-metrics-for-version must be omitted or have the value '1.35'. Only the previous minor version is allowed`,
    ],
    ['detectLocalMode: Guess', `DetectLocalMode: Unsupported value: "Guess": supported values: ${DETECTORS}`],
    [
      'detectLocalMode: BridgeInterface',
      'DetectLocalConfiguration.InterfaceName: Invalid value: "": must not be empty',
    ],
    [
      'detectLocalMode: InterfaceNamePrefix',
      'DetectLocalConfiguration.InterfacePrefix: Invalid value: "": must not be empty',
    ],
    [
      'clusterCIDR: 10.0.0.0',
      'DetectLocalConfiguration.ClusterCIDRs[0]: Invalid value: "10.0.0.0": must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)',
    ],
    [
      'clusterCIDR: 10.0.0.0/8, fd00::/8',
      'DetectLocalConfiguration.ClusterCIDRs[1]: Invalid value: " fd00::/8": must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)',
    ],
    [
      'clusterCIDR: 10.0.0.0/8,11.0.0.0/8',
      `DetectLocalConfiguration.ClusterCIDRs: Invalid value: ["10.0.0.0/8","11.0.0.0/8"]: ${PAIR}`,
    ],
    [
      'clusterCIDR: 10.0.0.0/8,fd00::/8,11.0.0.0/8',
      `DetectLocalConfiguration.ClusterCIDRs: Invalid value: ["10.0.0.0/8","fd00::/8","11.0.0.0/8"]: ${PAIR}`,
    ],
    ['logging: {format: xml}', 'logging.format: Invalid value: "xml": Unsupported log format'],
    ['logging: {verbosity: 2147483648}', 'logging.verbosity: Invalid value: 2147483648: Must be <= 2147483647'],
    [
      'logging: {format: json, vmodule: [{filePattern: a, verbosity: 1}]}',
      'logging.vmodule: Forbidden: Only supported for text log format',
    ],
  ]

  test.each(RULES)('%j breaks one rule', (body, text) => {
    const { config, issues, problems } = decode(body)
    expect(config).toBeUndefined()
    expect(formatConfigProblems(problems)).toBe(`KubeProxyConfiguration.${text}`)
    expect(issues).toHaveLength(1)
    expect(issues[0]?.severity).toBe('error')
    expect(issues[0]?.message).toContain(`KubeProxyConfiguration.${text}`)
  })

  test('a negative period breaks two rules', () => {
    expect(formatConfigProblems(decode('iptables: {syncPeriod: -1s}').problems)).toBe(
      '[KubeProxyConfiguration.SyncPeriod: Invalid value: "-1s": must be greater than 0, ' +
        'KubeProxyConfiguration.SyncPeriod: Invalid value: "1s": must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod]',
    )
  })

  test('all problems are reported, in the order of the rules, in one bracketed list', () => {
    const body = [
      'logging: {format: xml}',
      'detectLocalMode: Guess',
      'nodePortAddresses: [x]',
      'metricsBindAddress: x',
      'healthzBindAddress: x',
      'bindAddress: x',
      'configSyncPeriod: -1s',
      'clientConnection: {burst: -1}',
      'mode: x',
      'oomScoreAdj: 5000',
      'conntrack: {min: -1}',
      'iptables: {masqueradeBit: 40}',
      'featureGates: {PreferSameTrafficDistribution: false}',
    ]
    const paths = decode(body.join('\n')).problems.map(({ path }) => path)
    expect(paths).toEqual([
      'featureGates',
      'KubeProxyIPTablesConfiguration.MasqueradeBit',
      `${CONNTRACK}.Min`,
      'KubeProxyLinuxConfiguration.OOMScoreAdj',
      'Mode.ProxyMode',
      'ClientConnection.Burst',
      'ConfigSyncPeriod',
      'BindAddress',
      'HealthzBindAddress',
      'MetricsBindAddress',
      'NodePortAddresses[0]',
      'DetectLocalMode',
      'logging.format',
    ])
  })

  test.each([
    'nftables: {masqueradeBit: 40}',
    'ipvs: {tcpTimeout: -1s, excludeCIDRs: [x], minSyncPeriod: 10h}',
    'mode: ipvs\nnftables: {masqueradeBit: 40}',
    'detectLocalMode: NodeCIDR\nclusterCIDR: x',
  ])('%j breaks no rule, because the mode does not use it', (body) => {
    expect(decode(body).issues).toEqual([])
  })

  test('an issue names file, line and field, and says what to do', () => {
    expect(decode('iptables:\n  masqueradeBit: 40\n').issues.map(formatIssue)).toEqual([
      'config.yaml, line 4: iptables.masqueradeBit: 40 is not allowed: use the number of a bit, from 0 to 31 ' +
        '(kube-proxy: KubeProxyConfiguration.KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 40: must be within the range [0, 31])',
    ])
  })

  test('a blank host name is refused', () => {
    const { config, issues } = decode('hostnameOverride: "  "')
    expect(config).toBeUndefined()
    expect(issues.map(formatIssue)).toEqual([expect.stringContaining('hostnameOverride: holds only blanks')])
  })
})

describe('feature gates', () => {
  test('AllowServiceExternalIPs has no setting until it is turned off', () => {
    expect(accept('').featureGates).toEqual({})
    const off = accept('featureGates: {AllowServiceExternalIPs: false}')
    expect(off.featureGates).toEqual({ AllowServiceExternalIPs: false })
  })

  test('a locked gate may be set to what it is', () => {
    expect(decode('featureGates: {MultiCIDRServiceAllocator: true}').issues).toEqual([])
  })

  test('an unknown gate is a notice', () => {
    const { config, issues } = decode('featureGates: {NoSuchGate: true}')
    expect(config?.featureGates).toEqual({ NoSuchGate: true })
    expect(issues.map(({ severity }) => severity)).toEqual(['notice'])
    expect(issues.map(formatIssue)).toEqual([
      expect.stringMatching(/line 3: featureGates\.NoSuchGate: NoSuchGate is not a feature gate/),
    ])
  })
})
