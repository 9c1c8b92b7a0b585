// What the EndpointSlice controller reads of a Pod.
import * as v from 'valibot'
import { FAMILIES, type Family, familyOfIp, type Ip } from '../../model/address.ts'
import type { Protocol } from '../../model/object-name.ts'
import { fields, list, optional, text } from '../decode/decode-schema.ts'
import type { RawObject } from './documents.ts'
import { labels, name, namespace, portNumber, protocol, type Report, readIp, readObject } from './object-schema.ts'

export interface Pod {
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** The first address of each family; none when the Pod has not started or has ended. */
  readonly ips: Readonly<Partial<Record<Family, Ip>>>
  /** Its Ready condition is True. */
  readonly serving: boolean
  readonly terminating: boolean
  readonly nodeName?: string
  /** In the order in which a named port is looked up. */
  readonly namedPorts: readonly NamedPort[]
}

export interface NamedPort {
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
}

const CONTAINER_PORT = fields({
  name: v.nullish(text, ''),
  containerPort: portNumber,
  protocol: v.nullish(protocol, 'TCP'),
})
const CONTAINER = fields({ ports: list(CONTAINER_PORT), restartPolicy: optional(text) })
const POD = fields({
  metadata: fields({ namespace, name, labels: v.nullish(labels, {}), deletionTimestamp: optional(text) }),
  spec: v.nullish(
    fields({ nodeName: optional(text), containers: list(CONTAINER), initContainers: list(CONTAINER) }),
    {},
  ),
  status: v.nullish(
    fields({
      phase: optional(text),
      podIP: v.nullish(text, ''),
      podIPs: list(fields({ ip: text })),
      conditions: list(fields({ type: text, status: text })),
    }),
    {},
  ),
})
type RawPod = v.InferOutput<typeof POD>

/** Undefined, with every reason reported, when the object can't be read. An address that is none is reported and left out. */
export function readPod(object: RawObject, report: Report): Pod | undefined {
  const read = readObject(POD, object, report)
  if (read === undefined) return undefined
  const { metadata, spec, status } = read
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    labels: metadata.labels,
    ips: hasEnded(status) ? {} : readAddresses(status, object, report),
    serving: status.conditions.find(({ type }) => type === 'Ready')?.status === 'True',
    terminating: metadata.deletionTimestamp !== undefined,
    ...(spec.nodeName && { nodeName: spec.nodeName }),
    namedPorts: listNamedPorts(spec),
  }
}

function hasEnded({ phase }: RawPod['status']): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}

function readAddresses(status: RawPod['status'], object: RawObject, report: Report): Pod['ips'] {
  const { podIP, podIPs } = status
  // The API server takes podIP for the whole list when the two disagree.
  const listed = podIPs.length > 0 && (podIP === '' || podIP === podIPs[0]?.ip)
  const given = listed
    ? podIPs.map(({ ip }, index) => ({ text: ip, field: `status.podIPs[${index}].ip` }))
    : [{ text: podIP, field: 'status.podIP' }].filter(({ text: ip }) => ip !== '')
  const addresses = given.flatMap(({ text: ip, field }) => readIp(ip, object, field, report) ?? [])
  return Object.fromEntries(
    FAMILIES.flatMap((family) => {
      const first = addresses.find((ip) => familyOfIp(ip) === family)
      return first === undefined ? [] : [[family, first]]
    }),
  )
}

/** An init container counts while it goes on running beside the others (sidecar). */
function listNamedPorts({ containers, initContainers }: RawPod['spec']): readonly NamedPort[] {
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...containers, ...sidecars].flatMap(({ ports }) =>
    ports
      .filter((port) => port.name !== '')
      .map((port) => ({ name: port.name, protocol: port.protocol, port: port.containerPort })),
  )
}
