// The kernel's virtual servers, sets and addresses against what the cluster asks for, by Service. Virtual servers of others
// are theirs: those that nothing of the proxy names, and those of networks that the configuration excludes.
import { compareIpvs, type ObjectDifference } from '../compare/compare-ipvs.ts'
import { type IpvsSide, servedAddress } from '../compare/ipvs-side.ts'
import { describeServer, explainObjects, titleOf } from '../compare/ipvs-words.ts'
import { nameGroup } from '../compare/name-group.ts'
import type { Group } from '../compare/owners.ts'
import type { SavedService } from '../ipvs/parse.ts'
import { type Cidr, cidrContains } from '../model/address.ts'
import type { Finding, FindingSeverity } from './finding.ts'

export type VerifyIpvsKind =
  | 'missing-virtual-server'
  | 'changed-virtual-server'
  | 'extra-virtual-server'
  | 'terminating-real-server'
  | 'missing-set-entry'
  | 'extra-set-entry'
  | 'wrong-set'
  | 'missing-address'
  | 'extra-address'

export interface VerifyIpvsFinding extends Finding<VerifyIpvsKind> {
  /** `ns1/svc1` */
  readonly service?: string
  readonly details?: readonly string[]
}

/** `actual` is what the kernel has, `desired` what the cluster asks for; of one family. */
export function verifyIpvs(
  actual: IpvsSide,
  desired: IpvsSide,
  excludeCIDRs: readonly Cidr[],
): readonly VerifyIpvsFinding[] {
  return compareIpvs(actual, desired, { foreign: false }).flatMap(({ group, objects }) => {
    const found = objects.flatMap((object) => judge(object, actual, desired, excludeCIDRs))
    const kinds = [...new Set(found.map(({ kind }) => kind))]
    return kinds.map((kind): VerifyIpvsFinding => {
      const details = found.filter((each) => each.kind === kind).flatMap((each) => each.details)
      return describe(kind, details, group, actual)
    })
  })
}

interface Judged {
  readonly kind: VerifyIpvsKind
  readonly details: readonly string[]
}

function judge(
  object: ObjectDifference,
  actual: IpvsSide,
  desired: IpvsSide,
  excludeCIDRs: readonly Cidr[],
): readonly Judged[] {
  switch (object.kind) {
    case 'virtual-server':
      return judgeServer(actual.servers.get(object.object), desired.servers.get(object.object), excludeCIDRs)
    case 'set':
      return judgeSet(object, actual, desired)
    case 'addresses':
      return [
        { kind: 'missing-address' as const, details: plain(object.after) },
        { kind: 'extra-address' as const, details: plain(object.before) },
      ].filter(({ details }) => details.length > 0)
    default:
      return object.kind satisfies never
  }
}

function plain(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.replace(/\/\d+$/, ''))
}

function judgeServer(
  there: SavedService | undefined,
  wanted: SavedService | undefined,
  excludeCIDRs: readonly Cidr[],
): readonly Judged[] {
  if (wanted === undefined) {
    const at = there && servedAddress(there)
    if (there === undefined || at === undefined) return []
    // The network belongs to others, says the configuration.
    if (excludeCIDRs.some((cidr) => cidrContains(cidr, at.address))) return []
    return [{ kind: 'extra-virtual-server', details: [`too many: ${titleOf(there)}`] }]
  }
  const [whole = ''] = describeServer(undefined, wanted)
  if (there === undefined) return [{ kind: 'missing-virtual-server', details: [`${titleOf(wanted)}: ${whole}`] }]
  const names = new Set(wanted.realServers.map(({ name }) => name))
  const quiet = there.realServers.filter(({ name, weight }) => weight === 0 && !names.has(name))
  const rest = { ...there, realServers: there.realServers.filter((real) => !quiet.includes(real)) }
  const changes = describeServer(rest, wanted).map((text) => `to be right: ${titleOf(wanted)}: ${text}`)
  return [
    ...(changes.length > 0 ? [{ kind: 'changed-virtual-server' as const, details: changes }] : []),
    ...(quiet.length > 0
      ? [
          {
            kind: 'terminating-real-server' as const,
            details: quiet.map(({ name }) => `${titleOf(wanted)}: ${name}`),
          },
        ]
      : []),
  ]
}

function judgeSet(object: ObjectDifference, actual: IpvsSide, desired: IpvsSide): readonly Judged[] {
  const [first = ''] = [...object.before, ...object.after]
  if (first.startsWith('create ')) {
    if (object.change === 'removed') return []
    const details =
      object.change === 'added' ? [`set ${object.object} is not there`] : explainObjects([object], actual, desired)
    return details.length === 0 ? [] : [{ kind: 'wrong-set', details }]
  }
  const entries = (lines: readonly string[]) => lines.map((line) => line.slice('add '.length))
  return [
    { kind: 'missing-set-entry' as const, details: entries(object.after) },
    { kind: 'extra-set-entry' as const, details: entries(object.before) },
  ].filter(({ details }) => details.length > 0)
}

interface Judgement {
  readonly severity: FindingSeverity
  readonly message: string
  readonly advice: string
}

const SEE_THE_PROXY = 'check that the proxy runs, that its syncs succeed, and that nobody else changes it'
const SERVICE_GONE =
  'the Service or its port is gone or not for this node: check that the proxy runs and reaches the API server'

const JUDGEMENTS: Readonly<Record<VerifyIpvsKind, Judgement>> = {
  'missing-virtual-server': {
    severity: 'error',
    message: 'virtual servers are missing, so nobody answers at these addresses',
    advice: SEE_THE_PROXY,
  },
  'changed-virtual-server': {
    severity: 'error',
    message: 'virtual servers are not what the cluster asks for',
    advice: SEE_THE_PROXY,
  },
  'extra-virtual-server': {
    severity: 'warning',
    message: 'the kernel has virtual servers that the cluster does not ask for',
    advice: `${SERVICE_GONE}; if they are somebody else's, name their network in ipvs.excludeCIDRs`,
  },
  'terminating-real-server': {
    severity: 'notice',
    message: 'real servers that are gone finish their connections, with weight 0',
    advice: 'nothing needs to be done: the proxy removes them when their connections have ended',
  },
  'missing-set-entry': {
    severity: 'error',
    message: 'sets lack entries, so that rules treat this traffic as if it were not for the Service',
    advice: SEE_THE_PROXY,
  },
  'extra-set-entry': {
    severity: 'warning',
    message: 'sets have entries that the cluster does not ask for',
    advice: SERVICE_GONE,
  },
  'wrong-set': {
    severity: 'error',
    message: 'sets are missing or of another kind',
    advice: SEE_THE_PROXY,
  },
  'missing-address': {
    severity: 'error',
    message: 'kube-ipvs0 lacks addresses, so packets to them do not reach their virtual servers',
    advice: SEE_THE_PROXY,
  },
  'extra-address': {
    severity: 'warning',
    message: 'kube-ipvs0 has addresses that the cluster does not ask for: the node keeps what is sent there',
    advice: SERVICE_GONE,
  },
}

function describe(
  kind: VerifyIpvsKind,
  details: readonly string[],
  group: Group,
  { family }: IpvsSide,
): VerifyIpvsFinding {
  return {
    kind,
    family,
    ...(group.kind === 'service' && { service: group.service }),
    owner: group.kind === 'fixed' ? 'sets' : nameGroup(group),
    ...JUDGEMENTS[kind],
    details,
  }
}
