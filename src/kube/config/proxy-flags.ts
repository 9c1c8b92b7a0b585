// The effective configuration from a file, from flags, or from both. A flag sets fields of a KubeProxyConfiguration
// document, so both ways share conversion and validation.
//
// With a file, kube-proxy silently ignores nearly all flags. That is a trap, so each one that is ignored is a notice.
import type { Issue, Place } from '../../model/issue.ts'
import { appendPortIfNeeded } from './host-port.ts'
import { type DecodedProxyConfig, decodeProxyConfigDocument, finishProxyConfig } from './proxy-config.ts'
import { selectEffectiveConfig } from './proxy-config-effective.ts'
import {
  defaultProxyConfigDocument,
  HEALTHZ_PORT,
  METRICS_PORT,
  type ProxyConfigDocument,
} from './proxy-config-schema.ts'
import { findProxyFlag, normalizeFlagName, PROXY_FLAGS, type ProxyFlag, spellFlag } from './proxy-flag-table.ts'
import { type GivenFlag, parseFlagValue } from './proxy-flag-values.ts'

export { PROXY_FLAGS } from './proxy-flag-table.ts'

/** What the user typed, by flag name; underscores and dashes in front don't matter. Only flags that were given. */
export type GivenFlags = ReadonlyMap<string, GivenFlag>

export interface ProxyConfigSources {
  /** The text of the --config file, if there is one. */
  readonly configText?: string
  /** What to call that file in issues. */
  readonly configSource?: string
  readonly flags: GivenFlags
  /** Flags that count beside the file even where kube-proxy would ignore them, over what the file says. */
  readonly over?: GivenFlags
}

interface ReadFlags {
  /** By name. A flag whose value leaves the default in place holds undefined. */
  readonly values: ReadonlyMap<string, unknown>
  readonly issues: readonly Issue[]
}

const SECOND = 1_000_000_000n
const COMMAND_LINE = 'command line'

/** The configuration that holds for a command line, with or without a file. */
export function resolveProxyConfig(sources: ProxyConfigSources): DecodedProxyConfig {
  const { configText, configSource = 'config', flags, over = new Map<string, GivenFlag>() } = sources
  if (configText === undefined) return applyFlags(new Map([...flags, ...over]))
  const read = readFlags(flags)
  const readOver = readFlags(over)
  const decoded = decodeProxyConfigDocument(configText, configSource)
  const ignored = findIgnored(read, configSource).filter(({ at }) => !over.has(normalizeFlagName(at.field ?? '')))
  const issues = [...read.issues, ...readOver.issues, ...ignored, ...decoded.issues]
  if (decoded.document === undefined || hasError(issues)) return { config: undefined, issues, problems: [] }
  const counting = new Map([
    ...[...read.values].filter(([name]) => findProxyFlag(name)?.countsWithConfig),
    ...readOver.values,
  ])
  const document = setFields(decoded.document, counting)
  const place = (field: string): Place => placeOfFlag(field, counting) ?? decoded.place(field)
  return finishProxyConfig(selectEffectiveConfig(document), place, issues)
}

/** The configuration of a proxy that is given flags and no file. */
export function applyFlags(given: GivenFlags): DecodedProxyConfig {
  const read = readFlags(given)
  if (hasError(read.issues)) return { config: undefined, issues: read.issues, problems: [] }
  const document = completeAddresses(setFields(defaultFlagDocument(), read.values), read.values)
  const effective = selectEffectiveConfig(document)
  return finishProxyConfig(
    // An empty --cluster-cidr is not the same as none: kube-proxy reads it as a list of one bad network.
    read.values.get('cluster-cidr') === '' ? { ...effective, clusterCIDRs: [''] } : effective,
    (field) => placeOfFlag(field) ?? { source: COMMAND_LINE, field },
    [...read.issues, ...findWithoutEffect(read, effective.mode)],
  )
}

function readFlags(given: GivenFlags): ReadFlags {
  const values = new Map<string, unknown>()
  const issues: Issue[] = []
  for (const [typed, text] of given) {
    const flag = findProxyFlag(typed)
    if (flag === undefined) {
      const name = normalizeFlagName(typed)
      issues.push(issueAt('error', `--${name}`, `unknown flag: --${name}: use a flag that --help lists`))
      continue
    }
    const parsed = readFlag(flag, text)
    if (parsed.kind === 'value') values.set(flag.name, parsed.value)
    else issues.push(issueAt('error', spellFlag(flag), parsed.message))
    if (flag.deprecated) issues.push(issueAt('notice', spellFlag(flag), `is deprecated: ${flag.deprecated}`))
  }
  return { values, issues }
}

type ReadFlag =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'invalid'; readonly message: string }

function readFlag(flag: ProxyFlag, given: GivenFlag): ReadFlag {
  const spelled = spellFlag(flag)
  if (given === true && flag.type !== 'bool') {
    return { kind: 'invalid', message: `flag needs an argument: ${spelled}: write ${spelled}=VALUE` }
  }
  const parsed = parseFlagValue(flag.type, given)
  if (parsed.kind === 'invalid') {
    const { text, reason } = parsed
    const expected = EXPECTED[flag.type]
    const message = `invalid argument ${JSON.stringify(text)} for "${spelled}" flag: ${reason}: use ${expected}`
    return { kind: 'invalid', message }
  }
  if (flag.name !== 'hostname-override' || typeof parsed.value !== 'string') return parsed
  const name = parsed.value.trim().toLowerCase()
  if (name === '' && parsed.value !== '') {
    return { kind: 'invalid', message: 'empty hostname-override is invalid: use the name of the Node' }
  }
  return { kind: 'value', value: name === '' ? undefined : name }
}

const EXPECTED: Readonly<Record<ProxyFlag['type'], string>> = {
  string: 'text',
  bool: 'true or false',
  int32: `a whole number from ${-(2 ** 31)} to ${2 ** 31 - 1}`,
  uint32: `a whole number from 0 to ${2 ** 32 - 1}`,
  float32: 'a number, such as 5 or 0.5',
  duration: 'numbers with units, such as 30s or 1h0m0s',
  ip: 'an IP address without a port',
  'ip-port': 'IP or IP:port, with IPv6 in brackets before a port',
  list: 'items separated by commas',
  gates: 'Name=true,Other=false',
  vmodule: 'pattern=number,...',
  quantity: 'a size, such as 64Ki',
}

// Flags always show 1s for both modes, while a file in ipvs mode has 0s.
function defaultFlagDocument(): ProxyConfigDocument {
  const document = defaultProxyConfigDocument()
  return { ...document, ipvs: { ...document.ipvs, minSyncPeriod: SECOND } }
}

function setFields(document: ProxyConfigDocument, values: ReadonlyMap<string, unknown>): ProxyConfigDocument {
  let result: object = document
  for (const [name, value] of values) {
    if (value === undefined) continue
    for (const field of findProxyFlag(name)?.fields ?? []) result = setField(result, field.split('.'), value)
  }
  return result as ProxyConfigDocument
}

function setField(node: object, [step = '', ...rest]: readonly string[], value: unknown): object {
  const inner = (node as Readonly<Record<string, object>>)[step] ?? {}
  return { ...node, [step]: rest.length === 0 ? value : setField(inner, rest, value) }
}

// The deprecated port flags: 0 empties an address, anything else completes one without a port. When the configuration
// is only to be written, kube-proxy leaves addresses alone.
function completeAddresses(document: ProxyConfigDocument, values: ReadonlyMap<string, unknown>): ProxyConfigDocument {
  if ((values.get('write-config-to') ?? '') !== '') return document
  const complete = (address: string, portFlag: string, fallback: number): string => {
    const port = Number(values.get(portFlag) ?? fallback)
    return port === 0 ? '' : appendPortIfNeeded(address, port)
  }
  return {
    ...document,
    healthzBindAddress: complete(document.healthzBindAddress, 'healthz-port', HEALTHZ_PORT),
    metricsBindAddress: complete(document.metricsBindAddress, 'metrics-port', METRICS_PORT),
  }
}

function findIgnored({ values }: ReadFlags, configSource: string): readonly Issue[] {
  return PROXY_FLAGS.filter((flag) => values.has(flag.name) && !flag.countsWithConfig).map((flag) => {
    const [field] = flag.fields
    const instead = field === undefined ? 'remove it' : `set ${field} in ${configSource} instead`
    return issueAt('notice', spellFlag(flag), `has no effect, because --config replaces it: ${instead}`)
  })
}

function findWithoutEffect({ values }: ReadFlags, mode: string): readonly Issue[] {
  const other = mode === 'ipvs' ? 'iptables' : 'ipvs'
  const own = mode === 'ipvs' ? 'ipvs' : 'iptables'
  return ['sync-period', 'min-sync-period']
    .filter((period) => values.has(`${other}-${period}`))
    .map((period) => {
      const message = `has no effect in ${mode} mode: use --${own}-${period} instead`
      return issueAt('notice', `--${other}-${period}`, message)
    })
}

// The flag that sets a field of the document, among the given ones if those are named.
function placeOfFlag(field: string, among?: ReadonlyMap<string, unknown>): Place | undefined {
  const owner = field.replace(/\[\d+\]$/, '').replace(/^featureGates\..*/, 'featureGates')
  const flag = PROXY_FLAGS.find(({ name, fields }) => fields.includes(owner) && (among?.has(name) ?? true))
  return flag && { source: COMMAND_LINE, field: spellFlag(flag) }
}

function issueAt(severity: Issue['severity'], field: string, message: string): Issue {
  return { severity, at: { source: COMMAND_LINE, field }, message }
}

function hasError(issues: readonly Issue[]): boolean {
  return issues.some(({ severity }) => severity === 'error')
}
