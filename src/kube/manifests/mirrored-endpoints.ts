// Slices for a Service from the core/v1 Endpoints object of its name, as the EndpointSliceMirroring controller makes
// them. Its label skip-mirror and its annotations are ignored: an object that is given is meant to count. The
// controller's limit of 1,000 addresses a subset is not kept, because which ones it drops can't be foreseen.
import * as v from 'valibot'
import type { Ip } from '../../model/address.ts'
import type { EndpointSlice, SlicePort } from '../../model/snapshot.ts'
import { fields, list, optional, text } from '../decode/decode-schema.ts'
import { type DerivedEndpoint, groupIntoSlices, portKey } from './derived-slice.ts'
import type { RawObject } from './documents.ts'
import { name, namespace, portName, portNumber, protocol, type Report, readIp, readObject } from './object-schema.ts'

const ADDRESS = fields({ ip: text, nodeName: optional(text) })
const PORT = fields({ name: v.nullish(portName, ''), port: portNumber, protocol: v.nullish(protocol, 'TCP') })
const SUBSET = fields({ addresses: list(ADDRESS), notReadyAddresses: list(ADDRESS), ports: list(PORT) })
const ENDPOINTS = fields({ metadata: fields({ namespace, name }), subsets: list(SUBSET) })

type Subset = v.InferOutput<typeof SUBSET>

/** The slices; undefined when the object can't be read, and then it counts as not given. */
export function mirrorEndpoints(object: RawObject, report: Report): readonly EndpointSlice[] | undefined {
  const read = readObject(ENDPOINTS, object, report)
  if (read === undefined) return undefined
  const byAddress = new Map<string, MirroredAddress>()
  for (const [index, subset] of read.subsets.entries()) {
    for (const mention of mentionsIn(subset, index, object, report)) {
      const address = byAddress.get(mention.ip) ?? { ip: mention.ip, readiness: new Map() }
      byAddress.set(mention.ip, merge(address, mention, subset.ports))
    }
  }
  return groupIntoSlices(read.metadata, [...byAddress.values()].flatMap(toDerived))
}

interface Mention {
  readonly ip: Ip
  readonly nodeName?: string
  readonly ready: boolean
}

interface MirroredAddress {
  readonly ip: Ip
  readonly nodeName?: string
  /** By portKey. An address without ports has the entry NO_PORT. */
  readonly readiness: ReadonlyMap<string, { readonly port?: SlicePort; readonly ready: boolean }>
}

const NO_PORT = ''

function mentionsIn(subset: Subset, index: number, object: RawObject, report: Report): readonly Mention[] {
  return (['addresses', 'notReadyAddresses'] as const).flatMap((state) =>
    subset[state].flatMap(({ ip: given, nodeName }, position): readonly Mention[] => {
      const ip = readIp(given, object, `subsets[${index}].${state}[${position}].ip`, report)
      return ip === undefined ? [] : [{ ip, ready: state === 'addresses', ...(nodeName && { nodeName }) }]
    }),
  )
}

/** Where subsets contradict each other about a port of an address, not ready wins, as in the controller. */
function merge(address: MirroredAddress, mention: Mention, ports: readonly SlicePort[]): MirroredAddress {
  const readiness = new Map(address.readiness)
  const note = (key: string, port?: SlicePort) => {
    const ready = mention.ready && readiness.get(key)?.ready !== false
    readiness.set(key, { ready, ...(port && { port }) })
  }
  for (const port of ports) note(portKey(port), port)
  if (ports.length === 0) note(NO_PORT)
  const nodeName = address.nodeName ?? mention.nodeName
  return { ip: address.ip, readiness, ...(nodeName && { nodeName }) }
}

/** One endpoint for the ports where the address is ready, one for those where it is not. */
function toDerived({ ip, nodeName, readiness }: MirroredAddress): readonly DerivedEndpoint[] {
  const withPorts = [...readiness].filter(([key]) => key !== NO_PORT || readiness.size === 1)
  const byReady = Map.groupBy(withPorts, ([, { ready }]) => ready)
  return [...byReady].map(([ready, entries]) => ({
    ports: entries.flatMap(([, { port }]) => port ?? []),
    // The controller writes no other condition, and absent `serving` means true.
    endpoint: { ip, ready, serving: true, terminating: false, ...(nodeName && { nodeName }) },
    origin: '',
  }))
}
