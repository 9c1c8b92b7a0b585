// What a node's IPVS does with new connections, from the text of `ipvsadm -Sn`. Schedulers that take turns have exact
// shares; those that count connections are even while nobody has any; those that hash may choose anybody.
import type { Balancer, BalancerSubject, PossibleServer, VirtualServerChoice } from '../iptables/simulate-balancer.ts'
import { type Family, type Ip, parseIp } from '../model/address.ts'
import { shareOf, WHOLE } from '../packet/share.ts'
import type { SavedRealServer, SavedService } from './parse.ts'
import { type VirtualServerKey, virtualServerKey } from './virtual-server.ts'

/** Whose a virtual server is. */
export interface VirtualServerOwner {
  /** `ns/name:port` */
  readonly service: string
  /** Its traffic policy there is Local, and it has endpoints on other nodes. */
  readonly hasEndpointsElsewhere?: true
}

/** `owners` are by virtual server, as far as they are known. */
export function createBalancer(
  services: readonly SavedService[],
  family: Family,
  owners: ReadonlyMap<VirtualServerKey, VirtualServerOwner> = new Map(),
): Balancer {
  const ours = services.filter(({ name, key }) => isOfFamily(name, key, family))
  const byKey = new Map(ours.map((service) => [service.key ?? service.name, service]))
  const choices = new Map<SavedService, VirtualServerChoice>()
  return (packet) => {
    const service = findService(byKey, packet)
    if (service === undefined) return undefined
    const known = choices.get(service)
    const choice = known ?? choiceOf(service, owners.get(service.key ?? ''))
    if (known === undefined) choices.set(service, choice)
    // Port 0 of a real server, which marks and virtual servers of all ports have, keeps the packet's.
    if (choice.realServers.every(({ port }) => port !== 0)) return choice
    return {
      ...choice,
      realServers: choice.realServers.map((real) => ({ ...real, port: real.port || packet.destinationPort })),
    }
  }
}

function isOfFamily(name: string, key: VirtualServerKey | undefined, family: Family): boolean {
  const isIpv6 = key === undefined ? name.endsWith(' -6') : key.includes('[')
  return isIpv6 === (family === 'ipv6')
}

/** As ip_vs_service_find: a firewall mark first, then the very address and port, then all ports of a persistent one. */
function findService(
  byKey: ReadonlyMap<string, SavedService>,
  { protocol, destination: address, destinationPort: port, mark }: BalancerSubject,
): SavedService | undefined {
  if (protocol === 'icmp') return undefined
  const marked = mark === 0 ? undefined : (byKey.get(`-f ${mark}`) ?? byKey.get(`-f ${mark} -6`))
  if (marked !== undefined) return marked
  const exact = byKey.get(virtualServerKey({ protocol, address, port }))
  if (exact !== undefined) return exact
  const anyPort = byKey.get(virtualServerKey({ protocol, address, port: 0 }))
  return anyPort !== undefined && PERSISTENT.test(anyPort.options) ? anyPort : undefined
}

const PERSISTENT = /(?:^| )-p (\d+)/
const SCHEDULER = /^-s (\S+)/

function choiceOf(service: SavedService, owner: VirtualServerOwner | undefined): VirtualServerChoice {
  const scheduler = SCHEDULER.exec(service.options)?.[1] ?? ''
  const name = service.key ?? service.name
  const open = service.realServers.filter(({ weight }) => weight > 0)
  const kind = KINDS.get(scheduler) ?? 'other'
  const candidates = kind === 'highest' ? heaviest(open) : open
  const question = candidates.length < 2 ? undefined : questionOf(kind, scheduler)
  const total = candidates.reduce((sum, { weight }) => sum + (kind === 'weight' ? weight : 1), 0)
  return {
    name,
    scheduler,
    ...(owner !== undefined && { service: owner.service }),
    ...(owner?.hasEndpointsElsewhere === true && { onlyElsewhere: true as const }),
    ...(question !== undefined && { question }),
    realServers: candidates.flatMap((real): readonly PossibleServer[] => {
      const end = readEnd(real.name)
      const otherWay = /(?:^| )(-[gi])(?: |$)/.exec(real.options)?.[1]
      const share = total === 0 ? WHOLE : shareOf(kind === 'weight' ? real.weight : 1, total)
      if (end === undefined) return []
      return [{ ...end, ...(question === undefined && { share }), ...(otherWay !== undefined && { otherWay }) }]
    }),
    notes: notesOf(service, scheduler, kind, candidates.length),
  }
}

type SchedulerKind = 'turns' | 'weight' | 'connections' | 'hash' | 'highest' | 'other'

const KINDS: ReadonlyMap<string, SchedulerKind> = new Map([
  ['rr', 'turns'],
  ['wrr', 'weight'],
  ['lc', 'connections'],
  ['wlc', 'connections'],
  ['sed', 'connections'],
  ['nq', 'connections'],
  ['sh', 'hash'],
  ['mh', 'hash'],
  ['dh', 'hash'],
  ['fo', 'highest'],
  ['ovf', 'highest'],
])

/** What decides when there are several, and no share of it is known. */
function questionOf(kind: SchedulerKind, scheduler: string): string | undefined {
  switch (kind) {
    case 'turns':
    case 'weight':
    case 'connections':
      return undefined
    case 'hash':
      return `by the hash of ${scheduler}`
    case 'highest':
    case 'other':
      return `by ${scheduler}`
    default:
      return kind satisfies never
  }
}

function heaviest(servers: readonly SavedRealServer[]): readonly SavedRealServer[] {
  const highest = Math.max(...servers.map(({ weight }) => weight))
  return servers.filter(({ weight }) => weight === highest)
}

function notesOf(
  { realServers, options }: SavedService,
  scheduler: string,
  kind: SchedulerKind,
  choices: number,
): readonly string[] {
  const notes: string[] = []
  const closed = realServers.filter(({ weight }) => weight === 0).map(({ name }) => name)
  if (closed.length > 0 && choices > 0) notes.push(`weight 0, so no new connections: ${closed.join(', ')}`)
  if (kind === 'connections' && choices > 1)
    notes.push(`${scheduler} chooses by open connections: the shares hold while all real servers have as many`)
  const [, seconds] = PERSISTENT.exec(options) ?? []
  if (seconds !== undefined && choices > 0)
    notes.push(
      `session affinity: a client that was sent to a real server within the last ${seconds} s goes there again`,
    )
  return notes
}

function readEnd(text: string): { readonly address: Ip; readonly port: number } | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? []
  const address = parseIp(bracketed ?? plain ?? '')
  return address === undefined ? undefined : { address, port: Number(port) }
}
