// unknown -> Service. What kube-proxy would pass over in a Service is left out and reported; anything else that is wrong
// costs the whole Service.
import * as v from 'valibot'
import { type Cidr, type Family, familyOfIp, type Ip, parseCidr, parseIp } from '../../model/address.ts'
import type { Issue, Place } from '../../model/issue.ts'
import type { Service, ServicePortSpec } from '../../model/snapshot.ts'
import {
  type Decoded,
  dnsLabel,
  fields,
  list,
  namespace,
  numberBetween,
  objectTitle,
  oneOf,
  optional,
  optionalPort,
  port,
  portName,
  protocol,
  quote,
  schemaIssues,
  text,
} from './decode-schema.ts'
import { ownText, sharedText } from './names.ts'

const OTHER_PROXY = 'service.kubernetes.io/service-proxy-name'
const DAY_IN_SECONDS = 86_400
const DEFAULT_AFFINITY_SECONDS = 10_800

const TRAFFIC_POLICY = oneOf(['Cluster', 'Local'], 'Cluster')

const PORT = fields({ name: v.nullish(portName, ''), protocol, port, nodePort: optionalPort })

const SPEC = fields({
  type: oneOf(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'], 'ClusterIP'),
  clusterIP: v.nullish(text, ''),
  clusterIPs: list(text),
  ipFamilies: list(text),
  ports: list(PORT),
  externalIPs: list(text),
  loadBalancerSourceRanges: list(text),
  externalTrafficPolicy: TRAFFIC_POLICY,
  internalTrafficPolicy: TRAFFIC_POLICY,
  sessionAffinity: oneOf(['None', 'ClientIP'], 'None'),
  sessionAffinityConfig: optional(
    fields({
      clientIP: optional(fields({ timeoutSeconds: optional(numberBetween(1, DAY_IN_SECONDS, 'number of seconds')) })),
    }),
  ),
  healthCheckNodePort: optionalPort,
})

const STATUS = fields({
  loadBalancer: optional(fields({ ingress: list(fields({ ip: v.nullish(text, ''), ipMode: optional(text) })) })),
})

const SERVICE = fields({
  metadata: fields({ namespace, name: dnsLabel, labels: optional(fields({ [OTHER_PROXY]: v.optional(v.unknown()) })) }),
  spec: SPEC,
  status: optional(STATUS),
})

type Spec = v.InferOutput<typeof SPEC>

/**
 * A Service from the API's JSON. Nothing of `value` is kept. No object, and a notice, for a Service that is left to
 * another proxy.
 */
export function decodeService(value: unknown, at: Place): Decoded<Service> {
  const read = v.safeParse(SERVICE, value)
  const issues: Issue[] = []
  // The title is for messages alone, and most objects need none.
  const report = (severity: Issue['severity'], field: string, message: string) =>
    issues.push({ severity, at: { ...at, object: objectTitle('Service', value), field }, message })
  if (!read.success) return { issues: schemaIssues(read.issues, { ...at, object: objectTitle('Service', value) }) }
  const { metadata, spec, status } = read.output
  if (metadata.labels?.[OTHER_PROXY] !== undefined) {
    report('notice', `metadata.labels[${OTHER_PROXY}]`, 'leaves this Service to another proxy, so it is left out')
    return { issues }
  }
  const clusterIPs = decodeClusterIPs(spec, report)
  if (clusterIPs === undefined) return { issues }
  const affinitySeconds = affinityOf(spec)
  const { healthCheckNodePort } = spec
  const object: Service = {
    namespace: sharedText(metadata.namespace),
    name: ownText(metadata.name),
    type: spec.type,
    clusterIPs,
    ports: spec.ports.map(toPort),
    externalIPs: readableIPs(spec.externalIPs, report),
    listsExternalIPs: spec.externalIPs.length > 0,
    loadBalancerIPs: decodeIngress(status?.loadBalancer?.ingress ?? [], report),
    loadBalancerSourceRanges: decodeSourceRanges(spec.loadBalancerSourceRanges, report),
    externalTrafficPolicy: spec.externalTrafficPolicy,
    internalTrafficPolicy: spec.internalTrafficPolicy,
    ...(affinitySeconds !== undefined && { affinitySeconds }),
    ...(healthCheckNodePort > 0 && { healthCheckNodePort }),
  }
  return { object, issues }
}

type Report = (severity: Issue['severity'], field: string, message: string) => void

function toPort({ name, protocol: ofPort, port: number, nodePort }: Spec['ports'][number]): ServicePortSpec {
  return { name: sharedText(name), protocol: ofPort, port: number, ...(nodePort > 0 && { nodePort }) }
}

function affinityOf({ sessionAffinity, sessionAffinityConfig }: Spec): number | undefined {
  if (sessionAffinity !== 'ClientIP') return undefined
  return sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS
}

/** Undefined, and reported, when one of them is wrong. */
function decodeClusterIPs(spec: Spec, report: Report): Service['clusterIPs'] | undefined {
  if (spec.type === 'ExternalName' || spec.clusterIP === 'None') return {}
  if (spec.clusterIP === '') {
    report('notice', 'spec.clusterIP', 'is not assigned yet, so there are no rules for this Service: add the address')
    return {}
  }
  const main = parseIp(spec.clusterIP)
  if (main === undefined) return refuseIp(spec.clusterIP, 'spec.clusterIP', report)
  // Very old objects have no families. The API server fills in clusterIPs when only clusterIP is written.
  if (spec.ipFamilies.length === 0) return { [familyOfIp(main)]: main }
  const all = spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP]
  const found: Partial<Record<Family, Ip>> = {}
  for (const [index, name] of spec.ipFamilies.entries()) {
    const family = FAMILY_NAMES.get(name)
    if (family === undefined) {
      report('error', `spec.ipFamilies[${index}]`, `${quote(name)} is not an IP family: use IPv4 or IPv6`)
      return undefined
    }
    const given = all[index]
    if (given === undefined || found[family] !== undefined) continue
    const ip = parseIp(given)
    if (ip === undefined) return refuseIp(given, `spec.clusterIPs[${index}]`, report)
    if (familyOfIp(ip) !== family) {
      const message = `${ip} is not of the family ${name}, which spec.ipFamilies[${index}] says: make them agree`
      report('error', `spec.clusterIPs[${index}]`, message)
      return undefined
    }
    found[family] = ip
  }
  return found
}

const FAMILY_NAMES: ReadonlyMap<string, Family> = new Map([
  ['IPv4', 'ipv4'],
  ['IPv6', 'ipv6'],
])

function refuseIp(given: string, field: string, report: Report): undefined {
  report('error', field, `${quote(given)} is not an IP address: write one such as 10.96.0.10 or fd00::10`)
}

/** Blank entries say nothing; what else is no address is reported and left out. */
function readableIPs(given: readonly string[], report: Report): readonly Ip[] {
  return given.flatMap((entry, index) => {
    const ip = parseIp(entry)
    if (ip === undefined && entry.trim() !== '') refuseIp(entry, `spec.externalIPs[${index}]`, report)
    return ip ?? []
  })
}

function decodeIngress(
  ingress: readonly { readonly ip: string; readonly ipMode?: string | undefined }[],
  report: Report,
): readonly Ip[] {
  return ingress.flatMap(({ ip: given, ipMode }, index) => {
    if (given === '' || (ipMode !== undefined && ipMode !== 'VIP')) return []
    return parseIp(given) ?? refuseIp(given, `status.loadBalancer.ingress[${index}].ip`, report) ?? []
  })
}

/** The API stores ranges with blanks around them. */
function decodeSourceRanges(given: readonly string[], report: Report): readonly Cidr[] {
  return given.flatMap((entry, index) => {
    const trimmed = entry.trim()
    const cidr = parseCidr(trimmed)
    if (cidr === undefined && trimmed !== '') {
      const message = `${quote(entry)} is not a CIDR and does not count: write one such as 203.0.113.0/24`
      report('error', `spec.loadBalancerSourceRanges[${index}]`, message)
    }
    return cidr ?? []
  })
}
