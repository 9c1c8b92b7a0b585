// The resources that the daemon watches, and how an object of each is read.
import type { EndpointSlice, Node, Service } from '../../model/snapshot.ts'
import { decodeEndpointSlice, decodeNode, decodeService } from '../decode/decode.ts'
import { isMapping } from '../manifests/parsed-document.ts'
import { ENDPOINT_SLICES, oneNode, SERVICES } from './asked-objects.ts'
import type { RawValue, Resource } from './resource.ts'

const CHANGED_AT = 'endpoints.kubernetes.io/last-change-trigger-time'

/** A Service that gains the label or becomes headless arrives as deleted. `server` stands in issues. */
export function servicesOf(server: string): Resource<Service> {
  return {
    ...SERVICES,
    selects: ({ spec }) => !isMapping(spec) || spec['clusterIP'] !== 'None',
    decode: (value) => decodeService(value, { source: server }),
  }
}

/** `startedAt`, in milliseconds since 1970: what happened before says nothing about how fast we are, and is not told. */
export function endpointSlicesOf(server: string, startedAt: number): Resource<EndpointSlice> {
  return {
    ...ENDPOINT_SLICES,
    decode: (value) => {
      const changedAt = readChangeTime(value)
      const decoded = decodeEndpointSlice(value, { source: server })
      return changedAt !== undefined && changedAt > startedAt ? { ...decoded, changedAt } : decoded
    },
  }
}

export function nodeOf(server: string, nodeName: string): Resource<Node> {
  return { ...oneNode(nodeName), decode: (value) => decodeNode(value, { source: server }) }
}

/** In milliseconds since 1970; undefined where the EndpointSlice does not say it, or not as a time. */
function readChangeTime({ metadata }: RawValue): number | undefined {
  const annotations = isMapping(metadata) ? metadata['annotations'] : undefined
  const written = isMapping(annotations) ? annotations[CHANGED_AT] : undefined
  const time = typeof written === 'string' ? Date.parse(written) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
