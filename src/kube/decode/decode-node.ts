// unknown -> Node. Addresses and CIDRs that can't be read are left out and reported.
import * as v from 'valibot'
import { parseCidr, parseIp } from '../../model/address.ts'
import type { Issue, Place } from '../../model/issue.ts'
import type { Node } from '../../model/snapshot.ts'
import {
  type Decoded,
  dnsSubdomain,
  fields,
  list,
  objectTitle,
  optional,
  quote,
  schemaIssues,
  shortText,
  text,
} from './decode-schema.ts'
import { ownText, sharedText } from './names.ts'

const ZONE = 'topology.kubernetes.io/zone'
/** Whatever its effect. */
const LEAVING_TAINT = 'ToBeDeletedByClusterAutoscaler'

const NODE = fields({
  metadata: fields({
    name: dnsSubdomain,
    labels: optional(fields({ [ZONE]: optional(shortText) })),
    deletionTimestamp: v.nullish(text, ''),
  }),
  spec: optional(
    fields({
      podCIDR: v.nullish(text, ''),
      podCIDRs: list(text),
      taints: list(fields({ key: v.nullish(text, '') })),
    }),
  ),
  status: optional(fields({ addresses: list(fields({ type: v.nullish(text, ''), address: v.nullish(text, '') })) })),
})

/** A Node from the API's JSON. Nothing of `value` is kept. */
export function decodeNode(value: unknown, at: Place): Decoded<Node> {
  const read = v.safeParse(NODE, value)
  const place = { ...at, object: objectTitle('Node', value, false) }
  if (!read.success) return { issues: schemaIssues(read.issues, place) }
  const issues: Issue[] = []
  const report = (field: string, message: string) =>
    issues.push({ severity: 'error', at: { ...place, field }, message })
  const { metadata, spec, status } = read.output
  const zone = metadata.labels?.[ZONE]
  const addresses = (status?.addresses ?? []).flatMap(({ type, address }, index) => {
    const ip = type === 'InternalIP' || type === 'ExternalIP' ? parseIp(address) : undefined
    if (ip === undefined && (type === 'InternalIP' || type === 'ExternalIP')) {
      const message = `${quote(address)} is not an IP address and does not count: write one such as 192.0.2.1`
      report(`status.addresses[${index}].address`, message)
    }
    return ip === undefined ? [] : [{ type, ip }]
  })
  const ofType = (wanted: string) => addresses.flatMap(({ type, ip }) => (type === wanted ? ip : []))
  const leaving = metadata.deletionTimestamp !== '' || (spec?.taints ?? []).some(({ key }) => key === LEAVING_TAINT)
  const object: Node = {
    name: ownText(metadata.name),
    ...(zone !== undefined && { zone: sharedText(zone) }),
    podCIDRs: podCIDRsOf(spec, report),
    addresses: [...ofType('InternalIP'), ...ofType('ExternalIP')],
    ...(leaving && { leaving }),
  }
  return { object, issues }
}

type Report = (field: string, message: string) => void

/** A manifest may have podCIDR alone; the API server then fills in the list. */
function podCIDRsOf(
  spec: { readonly podCIDR: string; readonly podCIDRs: readonly string[] } | undefined,
  report: Report,
): Node['podCIDRs'] {
  const { podCIDR = '', podCIDRs = [] } = spec ?? {}
  const single = podCIDRs.length === 0 && podCIDR !== ''
  return (single ? [podCIDR] : podCIDRs).flatMap((given, index) => {
    const cidr = parseCidr(given)
    const field = single ? 'spec.podCIDR' : `spec.podCIDRs[${index}]`
    if (cidr === undefined)
      report(field, `${quote(given)} is not a CIDR and does not count: write one such as 10.244.1.0/24`)
    return cidr ?? []
  })
}
