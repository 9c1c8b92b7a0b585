// unknown -> EndpointSlice. An endpoint or port that kube-proxy would pass over is left out and reported; anything else
// that is wrong costs the whole slice.
import * as v from 'valibot'
import { type Family, familyOfIp, type Ip, parseIp } from '../../model/address.ts'
import type { Issue, Place } from '../../model/issue.ts'
import { objectKey } from '../../model/object-name.ts'
import type { EndpointSlice, SliceEndpoint, SlicePort } from '../../model/snapshot.ts'
import {
  type Decoded,
  dnsLabel,
  dnsSubdomain,
  fields,
  flag,
  list,
  namespace,
  objectTitle,
  optional,
  optionalPort,
  portName,
  protocol,
  quote,
  schemaIssues,
  shortText,
  text,
} from './decode-schema.ts'
import { ownText, sharedText } from './names.ts'

/** The label that says which Service a slice belongs to. */
export const SERVICE_NAME = 'kubernetes.io/service-name'
const HEADLESS = 'service.kubernetes.io/headless'

const HINTS = list(fields({ name: shortText }))

const ENDPOINT = fields({
  addresses: list(text),
  conditions: optional(fields({ ready: optional(flag), serving: optional(flag), terminating: optional(flag) })),
  nodeName: optional(shortText),
  hints: optional(fields({ forZones: HINTS, forNodes: HINTS })),
})

const PORT = fields({ name: optional(portName), protocol, port: optionalPort })

const SLICE = fields({
  metadata: fields({
    namespace,
    name: dnsSubdomain,
    labels: optional(fields({ [SERVICE_NAME]: optional(text), [HEADLESS]: v.optional(v.unknown()) })),
  }),
  addressType: v.nullish(text, ''),
  ports: list(PORT),
  endpoints: list(ENDPOINT),
})

type RawEndpoint = v.InferOutput<typeof ENDPOINT>
type Report = (severity: Issue['severity'], field: string, message: string) => void

/**
 * An EndpointSlice from the API's JSON. Nothing of `value` is kept. No object, and a notice, for a slice that kube-proxy
 * passes over: of a headless Service, of no Service, or of domain names.
 */
export function decodeEndpointSlice(value: unknown, at: Place): Decoded<EndpointSlice> {
  const read = v.safeParse(SLICE, value)
  const issues: Issue[] = []
  const report: Report = (severity, field, message) =>
    issues.push({ severity, at: { ...at, object: objectTitle('EndpointSlice', value), field }, message })
  if (!read.success) {
    return { issues: schemaIssues(read.issues, { ...at, object: objectTitle('EndpointSlice', value) }) }
  }
  const { metadata, addressType, ports, endpoints } = read.output
  const service = metadata.labels?.[SERVICE_NAME]
  const headless = metadata.labels?.[HEADLESS]
  const family = headless === undefined ? familyOfSlice(addressType, report) : undefined
  if (headless !== undefined) {
    report('notice', `metadata.labels[${HEADLESS}]`, 'says that the Service is headless, so the slice is left out')
  } else if (service === undefined || service === '') {
    const message = 'is missing, so the slice belongs to no Service and is left out: add the name of the Service'
    report('notice', `metadata.labels[${SERVICE_NAME}]`, message)
  } else if (!v.is(dnsLabel, service)) {
    const message = `${quote(service)} is not the name of a Service: correct the label`
    report('error', `metadata.labels[${SERVICE_NAME}]`, message)
  } else if (family !== undefined) {
    const object: EndpointSlice = {
      namespace: sharedText(metadata.namespace),
      name: ownText(metadata.name),
      service: ownText(objectKey(metadata.namespace, service)),
      family,
      ports: ports.flatMap((port, index) => decodePort(port, index, report)),
      endpoints: decodeEndpoints(endpoints, family, report),
    }
    return { object, issues }
  }
  return { issues }
}

function familyOfSlice(addressType: string, report: Report): Family | undefined {
  switch (addressType) {
    case 'IPv4':
      return 'ipv4'
    case 'IPv6':
      return 'ipv6'
    case 'FQDN':
      report('notice', 'addressType', 'is FQDN: domain names are nothing that rules can lead to, the slice is left out')
      return undefined
    case '':
      report('error', 'addressType', 'is missing: add IPv4 or IPv6')
      return undefined
    default:
      report(
        'error',
        'addressType',
        `${quote(addressType)} is an addressType that the API does not have: use IPv4 or IPv6`,
      )
      return undefined
  }
}

function decodePort(port: v.InferOutput<typeof PORT>, index: number, report: Report): readonly SlicePort[] {
  if (port.name === undefined) {
    const message = `is missing, so kube-proxy passes over the port: write name: '' for an unnamed port`
    report('error', `ports[${index}].name`, message)
    return []
  }
  if (port.port === 0) {
    report('notice', `ports[${index}].port`, 'is missing or 0, so kube-proxy passes over the port: add the number')
    return []
  }
  return [{ name: sharedText(port.name), protocol: port.protocol, port: port.port }]
}

function decodeEndpoints(endpoints: readonly RawEndpoint[], family: Family, report: Report): readonly SliceEndpoint[] {
  const decoded: SliceEndpoint[] = []
  for (const [index, endpoint] of endpoints.entries()) {
    // kube-proxy takes the first address only.
    const ip = decodeAddress(endpoint.addresses[0], family, index, report)
    if (ip !== undefined) decoded.push(toEndpoint(ip, endpoint))
  }
  return decoded
}

function decodeAddress(given: string | undefined, family: Family, index: number, report: Report): Ip | undefined {
  if (given === undefined) {
    report('error', `endpoints[${index}].addresses`, 'is empty, so the endpoint is left out: add its address')
    return undefined
  }
  const ip = parseIp(given)
  const field = `endpoints[${index}].addresses[0]`
  if (ip === undefined) {
    const message = `${quote(given)} is not an IP address, so the endpoint is left out: write one such as 10.0.0.1 or fd00::1`
    report('error', field, message)
  } else if (familyOfIp(ip) !== family) {
    const name = family === 'ipv4' ? 'IPv4' : 'IPv6'
    report('error', field, `${ip} is not of the addressType ${name}, so the endpoint is left out: make them agree`)
    return undefined
  }
  return ip
}

function toEndpoint(ip: Ip, { conditions, nodeName, hints }: RawEndpoint): SliceEndpoint {
  const zoneHints = hints?.forZones.map(({ name }) => sharedText(name)) ?? []
  const nodeHints = hints?.forNodes.map(({ name }) => sharedText(name)) ?? []
  return {
    ip,
    ready: conditions?.ready ?? true,
    serving: conditions?.serving ?? true,
    terminating: conditions?.terminating ?? false,
    ...(nodeName !== undefined && nodeName !== '' && { nodeName: sharedText(nodeName) }),
    ...(zoneHints.length > 0 && { zoneHints }),
    ...(nodeHints.length > 0 && { nodeHints }),
  }
}
