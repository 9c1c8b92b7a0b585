// What one side has beside its rules in IPVS mode: virtual servers, sets and the addresses of kube-ipvs0, of one family.
import type { SetName } from '../ipset/ip-set.ts'
import { parseIpvsadmSave, type SavedService } from '../ipvs/parse.ts'
import { SET_NAMES, setName } from '../ipvs/sets.ts'
import { type Family, familyOfIp, type Ip, parseIp } from '../model/address.ts'
import { formatIssue } from '../model/issue.ts'
import type { ServicePort } from '../model/service-port.ts'

/** A set as somebody saved it: type and options apart. */
export interface SideSet {
  readonly type: string
  readonly options: readonly string[]
  readonly entries: ReadonlySet<string>
}

export interface IpvsSide {
  readonly family: Family
  /** By name: `-t 10.0.0.1:80`. Those of firewall marks are of both families. */
  readonly servers: ReadonlyMap<string, SavedService>
  /** Whether they were read at all. */
  readonly knowsServers: boolean
  /** Those of the mode alone, as far as they are there. */
  readonly sets: ReadonlyMap<SetName, SideSet>
  /** Whether sets were read at all. */
  readonly knowsSets: boolean
  /** Of kube-ipvs0; absent when they are not known. */
  readonly addresses?: ReadonlySet<Ip>
  /** What it was compiled from; none for what was saved. */
  readonly servicePorts: readonly ServicePort[]
}

export interface IpvsTexts {
  /** As `ipvsadm -Sn` prints them. */
  readonly ipvs?: string
  readonly sets?: ReadonlyMap<SetName, SideSet>
  readonly addresses?: ReadonlySet<Ip>
  readonly servicePorts?: readonly ServicePort[]
}

/** @throws Error for text that is not of ipvsadm. */
export function readIpvsSide(texts: IpvsTexts, family: Family): IpvsSide {
  const { services, issues } = parseIpvsadmSave(texts.ipvs ?? '')
  const [issue] = issues
  if (issue !== undefined) throw new Error(formatIssue(issue))
  const own = SET_NAMES.map((name) => setName(name, family))
  const sets = own.flatMap((name): readonly (readonly [SetName, SideSet])[] => {
    const set = texts.sets?.get(name)
    return set === undefined ? [] : [[name, set]]
  })
  return {
    family,
    servers: new Map(
      services.filter((service) => isOfFamily(service, family)).map((service) => [service.name, service]),
    ),
    knowsServers: texts.ipvs !== undefined,
    sets: new Map(sets),
    knowsSets: texts.sets !== undefined,
    ...(texts.addresses && { addresses: new Set([...texts.addresses].filter((ip) => familyOfIp(ip) === family)) }),
    servicePorts: texts.servicePorts ?? [],
  }
}

function isOfFamily({ name, key }: SavedService, family: Family): boolean {
  const isIpv6 = key === undefined ? name.endsWith(' -6') : key.includes('[')
  return isIpv6 === (family === 'ipv6')
}

/** An address and port with its protocol. */
export interface ServedAddress {
  readonly protocol: string
  readonly address: Ip
  readonly port: number
}

/** Undefined for a firewall mark. */
export function servedAddress({ key }: Pick<SavedService, 'key'>): ServedAddress | undefined {
  const [, protocol = '', ip = '', port = ''] = /^(\S+) \[?([^\]]+?)\]?:(\d+)$/.exec(key ?? '') ?? []
  const address = parseIp(ip)
  return address === undefined ? undefined : { protocol, address, port: Number(port) }
}

/** The lines of `ipvsadm -Sn`: the virtual server first, then its real servers by address. */
export function linesOfServer({ name, options, realServers }: SavedService): readonly string[] {
  return [
    `-A ${name} ${options}`,
    ...realServers.map((real) => `-a ${name} -r ${real.name} ${real.options}`).toSorted(),
  ]
}

/** Type and options that sluice cares for: the kernel chooses the others, and makes a hash larger by itself. */
export function definitionOf({ type, options }: SideSet): string {
  const words: string[] = [type]
  for (let at = 0; at < options.length; at += 1) {
    if (['hashsize', 'bucketsize', 'initval'].includes(options[at] ?? '')) at += 1
    else words.push(options[at] ?? '')
  }
  return words.join(' ')
}
