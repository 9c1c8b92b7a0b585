// The fields of a KubeProxyConfiguration v1alpha1 document with their types and defaults, as kube-proxy 1.36 has them.
// What comes out is complete: every field is there, durations are nanoseconds. Fields that nobody knows are dropped.
//
// Three kinds of default, because Go tells them apart and users meet the difference:
// an absent (or null) field takes the default; `...UnlessZero` also replaces an explicit zero or empty text;
// a duration that Go holds by value does not even accept null.
import * as v from 'valibot'
import { parseIp } from '../../model/address.ts'
import { parseGoDuration } from './go-duration.ts'
import { appendPortIfNeeded } from './host-port.ts'

export const HEALTHZ_PORT = 10256
export const METRICS_PORT = 10249

const string = v.string(({ input }) => `expected text, found ${describe(input)}: write it in quotes`)
const boolean = v.boolean(({ input }) => `expected a boolean, found ${describe(input)}: write true or false`)
const number = v.number(({ input }) => `expected a number, found ${describe(input)}: write it without quotes`)

const text = (fallback = '') => v.nullish(string, fallback)
const textUnlessEmpty = (fallback: string) =>
  v.pipe(
    text(),
    v.transform((given) => (given === '' ? fallback : given)),
  )
const bool = (fallback = false) => v.nullish(boolean, fallback)
const list = () => v.nullish(v.array(string, listMessage), [])

const wholeNumber = (least: number, most: number) =>
  v.pipe(
    number,
    v.check(
      (given) => Number.isInteger(given) && given >= least && given <= most,
      ({ input }) => `${input} does not fit: use a whole number from ${least} to ${most}`,
    ),
  )
const int32 = (fallback: number) => v.nullish(wholeNumber(-(2 ** 31), 2 ** 31 - 1), fallback)
const int32UnlessZero = (fallback: number) =>
  v.pipe(
    int32(0),
    v.transform((given) => given || fallback),
  )
const floatUnlessZero = (fallback: number) =>
  v.pipe(
    v.nullish(v.pipe(number, v.finite('not a finite number: use an ordinary one, such as 5')), 0),
    v.transform((given) => given || fallback),
  )

const duration = v.pipe(
  v.string(({ input }) => `${describe(input)} is not a duration: write a number and a unit in quotes, such as "30s"`),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const parsed = parseGoDuration(dataset.value)
    if (parsed.kind === 'duration') return parsed.nanoseconds
    addIssue({ message: `not a duration (${parsed.reason}): write numbers with units, such as 30s or 1h0m0s` })
    return NEVER
  }),
)
const durationOrZero = () => v.optional(duration, '0s')
const durationUnlessZero = (fallback: bigint) =>
  v.pipe(
    durationOrZero(),
    v.transform((given) => (given === 0n ? fallback : given)),
  )
const nullableDuration = (fallback: string) => v.nullish(duration, fallback)

const SECOND = 1_000_000_000n

const section = <Entries extends v.ObjectEntries>(entries: Entries) => v.object(entries, mappingMessage)

const iptables = section({
  masqueradeBit: int32(14),
  masqueradeAll: bool(),
  localhostNodePorts: bool(true),
  syncPeriod: durationUnlessZero(30n * SECOND),
  minSyncPeriod: durationUnlessZero(SECOND),
})
const nftables = section({
  masqueradeBit: int32(14),
  masqueradeAll: bool(),
  syncPeriod: durationUnlessZero(30n * SECOND),
  minSyncPeriod: durationUnlessZero(SECOND),
})
const ipvs = section({
  syncPeriod: durationUnlessZero(30n * SECOND),
  minSyncPeriod: durationOrZero(),
  scheduler: text(),
  excludeCIDRs: list(),
  strictARP: bool(),
  tcpTimeout: durationOrZero(),
  tcpFinTimeout: durationOrZero(),
  udpTimeout: durationOrZero(),
})
const conntrack = section({
  maxPerCore: int32(32768),
  min: int32(131072),
  tcpEstablishedTimeout: nullableDuration('24h'),
  tcpCloseWaitTimeout: nullableDuration('1h'),
  tcpBeLiberal: bool(),
  udpTimeout: durationOrZero(),
  udpStreamTimeout: durationOrZero(),
})
const clientConnection = section({
  kubeconfig: text(),
  acceptContentTypes: text(),
  contentType: textUnlessEmpty('application/vnd.kubernetes.protobuf'),
  qps: floatUnlessZero(5),
  burst: int32UnlessZero(10),
})
const logOutput = section({
  splitStream: bool(),
  infoBufferSize: v.nullish(v.union([string, number], 'not a quantity: write a size, such as "64Ki"'), '0'),
})
const logging = section({
  format: textUnlessEmpty('text'),
  // Go reads a plain number here as nanoseconds.
  flushFrequency: v.nullish(
    v.union([
      duration,
      v.pipe(
        wholeNumber(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
        v.transform((given) => BigInt(given)),
      ),
    ]),
    '5s',
  ),
  verbosity: v.nullish(wholeNumber(0, 2 ** 32 - 1), 0),
  vmodule: v.nullish(
    v.array(section({ filePattern: text(), verbosity: v.nullish(wholeNumber(0, 2 ** 32 - 1), 0) }), listMessage),
    [],
  ),
  options: v.nullish(section({ text: v.nullish(logOutput, {}), json: v.nullish(logOutput, {}) }), {}),
})
// Read and ignored: they mean something on Windows only.
const winkernel = section({
  networkName: text(),
  sourceVip: text(),
  enableDSR: bool(),
  rootHnsEndpointName: text(),
  forwardHealthCheckVip: bool(),
})

const fields = section({
  apiVersion: text(),
  kind: text(),
  featureGates: v.nullish(v.record(v.string(), bool(), mappingMessage), {}),
  clientConnection: v.nullish(clientConnection, {}),
  logging: v.nullish(logging, {}),
  hostnameOverride: text(),
  bindAddress: textUnlessEmpty('0.0.0.0'),
  healthzBindAddress: text(),
  metricsBindAddress: text(),
  bindAddressHardFail: bool(),
  enableProfiling: bool(),
  showHiddenMetricsForVersion: text(),
  mode: text(),
  iptables: v.nullish(iptables, {}),
  ipvs: v.nullish(ipvs, {}),
  nftables: v.nullish(nftables, {}),
  winkernel: v.nullish(winkernel, {}),
  detectLocalMode: text(),
  detectLocal: v.nullish(section({ bridgeInterface: text(), interfaceNamePrefix: text() }), {}),
  clusterCIDR: text(),
  nodePortAddresses: list(),
  oomScoreAdj: int32(-999),
  conntrack: v.nullish(conntrack, {}),
  configSyncPeriod: durationUnlessZero(900n * SECOND),
  // Of the userspace mode, which is gone.
  portRange: text(),
  windowsRunAsService: bool(),
})

/** Reads the value of a parsed document. Problems are valibot issues whose messages are ready for users. */
export const proxyConfigSchema = v.pipe(
  fields,
  v.transform((document) => {
    // An address that is neither family counts as IPv6 here, as with kube-proxy; validation refuses it anyway.
    const isIpv4 = parseIp(document.bindAddress)?.includes(':') === false
    return {
      ...document,
      healthzBindAddress: appendPortIfNeeded(document.healthzBindAddress || (isIpv4 ? '0.0.0.0' : '::'), HEALTHZ_PORT),
      metricsBindAddress: appendPortIfNeeded(
        document.metricsBindAddress || (isIpv4 ? '127.0.0.1' : '::1'),
        METRICS_PORT,
      ),
    }
  }),
)

/** A complete KubeProxyConfiguration v1alpha1 document. Nothing in it is validated beyond its types. */
export type ProxyConfigDocument = v.InferOutput<typeof proxyConfigSchema>

/** The document that an empty file stands for. */
export function defaultProxyConfigDocument(): ProxyConfigDocument {
  return v.parse(proxyConfigSchema, {})
}

function listMessage({ input }: { readonly input: unknown }): string {
  return `expected a list, found ${describe(input)}: write each item on a line of its own after "- "`
}

function mappingMessage({ input }: { readonly input: unknown }): string {
  return `expected a mapping of fields, found ${describe(input)}: write its fields as "name: value"`
}

function describe(input: unknown): string {
  if (input === null || input === undefined) return 'nothing'
  if (Array.isArray(input)) return 'a list'
  if (typeof input === 'object') return 'a mapping'
  return `the ${typeof input === 'string' ? 'text' : typeof input} ${JSON.stringify(input)}`
}
