// Manifests as text in, derived slices as lines out, so that a case of derived endpoints reads at a glance.
import { parseAllDocuments } from 'yaml'
import {
  type DerivedEndpoints,
  deriveEndpointSlices,
  type EndpointSources,
} from '../../src/kube/manifests/derive-endpoints.ts'
import type { RawObject } from '../../src/kube/manifests/documents.ts'
import { formatIssue } from '../../src/model/issue.ts'
import type { EndpointSlice, SliceEndpoint } from '../../src/model/snapshot.ts'

/** Documents of one file, `t.yaml`. */
export function objectsOf(manifest: string): readonly RawObject[] {
  return parseAllDocuments(manifest).map((document, index) => {
    const value: unknown = document.toJS()
    return { value: value as Record<string, unknown>, at: { source: 't.yaml', document: index + 1 } }
  })
}

export function sourcesOf(objects: readonly RawObject[], hasSlices: readonly string[] = []): EndpointSources {
  const ofKind = (kind: string) => objects.filter(({ value }) => value['kind'] === kind)
  return {
    services: ofKind('Service'),
    endpoints: ofKind('Endpoints'),
    pods: ofKind('Pod'),
    nodes: ofKind('Node'),
    hasSlices: new Set(hasSlices),
  }
}

export interface DerivedLines {
  /** `default/web web-derived-ipv4-1 ipv4 http/tcp/8080: 10.0.0.1 ready serving node=n1 zones=a` */
  readonly slices: readonly string[]
  readonly from: Readonly<Record<string, string>>
  readonly issues: readonly string[]
}

export function derive(manifest: string, hasSlices: readonly string[] = []): DerivedLines {
  return linesOf(deriveEndpointSlices(sourcesOf(objectsOf(manifest), hasSlices)))
}

export function linesOf({ slices, from, issues }: DerivedEndpoints): DerivedLines {
  return {
    slices: slices.map(sliceLine),
    from: Object.fromEntries(from),
    issues: issues.map((issue) => `${issue.severity} ${formatIssue(issue)}`),
  }
}

function sliceLine({ service, name, family, ports, endpoints }: EndpointSlice): string {
  const portText = ports.map((port) => `${port.name}/${port.protocol}/${port.port}`).join(' ') || '(no port)'
  return `${service} ${name} ${family} ${portText}: ${endpoints.map(endpointText).join(', ')}`
}

function endpointText(endpoint: SliceEndpoint): string {
  const { ip, ready, serving, terminating, nodeName, zoneHints, nodeHints } = endpoint
  return [
    ip,
    ready && 'ready',
    serving && 'serving',
    terminating && 'terminating',
    nodeName && `node=${nodeName}`,
    zoneHints && `zones=${zoneHints.join('+')}`,
    nodeHints && `nodes=${nodeHints.join('+')}`,
  ]
    .filter(Boolean)
    .join(' ')
}
