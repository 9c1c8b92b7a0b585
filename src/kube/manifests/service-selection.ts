// What the controllers read of a Service to give it endpoints. The fields that rules are made of too (name, type,
// cluster IPs, port numbers) are read leniently here: src/kube/decode/decode.ts reports what is wrong with them, once.
import * as v from 'valibot'
import { FAMILIES, type Family, familyOfIp, parseIp } from '../../model/address.ts'
import type { Place } from '../../model/issue.ts'
import { type ObjectKey, objectKey, type Protocol } from '../../model/object-name.ts'
import { fields, flag, list, optional, text } from '../decode/decode-schema.ts'
import type { RawObject } from './documents.ts'
import {
  labels,
  name,
  namespace,
  objectTitle,
  portName,
  portNumber,
  protocol,
  type Report,
  readObject,
  targetPort,
} from './object-schema.ts'

export interface ServiceSelection {
  readonly key: ObjectKey
  readonly namespace: string
  readonly name: string
  /** Where it stands, for issues about it. */
  readonly at: Place
  /** Absent: it selects no Pods. */
  readonly selector?: Readonly<Record<string, string>>
  readonly publishNotReady: boolean
  readonly families: readonly Family[]
  readonly ports: readonly TargetedPort[]
  readonly hints: 'none' | 'zone' | 'zone and node'
}

export interface TargetedPort {
  readonly name: string
  readonly protocol: Protocol
  /** A number, or the name of a container's port. */
  readonly target: number | string
}

const lenient = <Schema extends v.GenericSchema>(schema: Schema) => v.fallback(optional(schema), undefined)

const PORT = fields({
  name: v.fallback(v.nullish(portName, ''), ''),
  port: lenient(portNumber),
  protocol: v.fallback(v.nullish(protocol, 'TCP'), 'tcp'),
  targetPort: v.nullish(targetPort, 0),
})
const FAMILY = v.picklist(['IPv4', 'IPv6'], 'is not an IP family: use IPv4 or IPv6')
const SERVICE = fields({
  metadata: fields({ namespace, name, annotations: lenient(labels) }),
  spec: fields({
    type: lenient(text),
    clusterIP: lenient(text),
    clusterIPs: v.fallback(list(text), []),
    ipFamilies: list(FAMILY),
    selector: v.nullish(labels, {}),
    publishNotReadyAddresses: v.nullish(flag, false),
    trafficDistribution: optional(text),
    ports: list(PORT),
  }),
})
type RawService = v.InferOutput<typeof SERVICE>

const REPORTED_BY_DECODE = /^(?:metadata(?:\.(?:name|namespace))?|spec(?:\.ports(?:\[\d+\])?)?)$/

/** Undefined when the Service gets no endpoints that a rule could use, or can't be read. */
export function readServiceSelection(object: RawObject, report: Report): ServiceSelection | undefined {
  const read = readObject(SERVICE, object, (issue) => {
    if (issue.at.field !== undefined && !REPORTED_BY_DECODE.test(issue.at.field)) report(issue)
  })
  if (read === undefined || isWithoutRules(read.spec)) return undefined
  const { metadata, spec } = read
  const at = { ...object.at, object: objectTitle(object) }
  return {
    key: objectKey(metadata.namespace, metadata.name),
    namespace: metadata.namespace,
    name: metadata.name,
    at,
    ...(Object.keys(spec.selector).length > 0 && { selector: spec.selector }),
    publishNotReady: spec.publishNotReadyAddresses,
    families: chooseFamilies(spec),
    ports: spec.ports.flatMap((port): readonly TargetedPort[] => {
      const target = port.targetPort === 0 || port.targetPort === '' ? port.port : port.targetPort
      return target === undefined ? [] : [{ name: port.name, protocol: port.protocol, target }]
    }),
    hints: chooseHints(read, at, report),
  }
}

function isWithoutRules({ type, clusterIP, clusterIPs }: RawService['spec']): boolean {
  return type === 'ExternalName' || (clusterIP || clusterIPs[0]) === 'None'
}

/** Without a cluster IP, as before there is a cluster, both: the API server has not chosen yet. */
function chooseFamilies({ ipFamilies, clusterIP, clusterIPs }: RawService['spec']): readonly Family[] {
  if (ipFamilies.length > 0)
    return FAMILIES.filter((family) => ipFamilies.some((given) => given.toLowerCase() === family))
  const addresses = [...clusterIPs, clusterIP ?? ''].flatMap((given) => parseIp(given) ?? [])
  return addresses.length === 0
    ? FAMILIES
    : FAMILIES.filter((family) => addresses.some((ip) => familyOfIp(ip) === family))
}

const DISTRIBUTIONS: ReadonlyMap<string, ServiceSelection['hints']> = new Map([
  ['PreferClose', 'zone'],
  ['PreferSameZone', 'zone'],
  ['PreferSameNode', 'zone and node'],
])

function chooseHints({ metadata, spec }: RawService, at: Place, report: Report): ServiceSelection['hints'] {
  // The older annotation has precedence over the newer, and both over the field.
  const { annotations } = metadata
  const mode =
    annotations?.['service.kubernetes.io/topology-aware-hints'] ?? annotations?.['service.kubernetes.io/topology-mode']
  if (mode === 'Auto' || mode === 'auto') {
    const message =
      'topology mode Auto gives no hints here, because they depend on CPU counts and on earlier slices: give the EndpointSlices, or use spec.trafficDistribution'
    report({ severity: 'notice', at: { ...at, field: 'metadata.annotations' }, message })
    return 'none'
  }
  const { trafficDistribution } = spec
  if (trafficDistribution === undefined) return 'none'
  const hints = DISTRIBUTIONS.get(trafficDistribution)
  if (hints !== undefined) return hints
  const message = 'is not known and gives no hints: use PreferSameZone, PreferSameNode or PreferClose'
  report({ severity: 'notice', at: { ...at, field: 'spec.trafficDistribution' }, message })
  return 'none'
}
