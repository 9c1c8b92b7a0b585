// Reads what `ipvsadm -Sn` prints. Services of others (firewall marks, other ways of forwarding, other options) are kept as
// text, so that they are recognised and nothing of them is lost. It never refuses a dump: a line that is none becomes an
// issue with its number.
import { formatEndpoint, parseIp } from '../model/address.ts'
import type { Issue } from '../model/issue.ts'
import type { Protocol } from '../model/object-name.ts'
import type { RealServer, RealServerKey, VirtualServer, VirtualServerKey } from './virtual-server.ts'
import { virtualServerKey } from './virtual-server.ts'

/** A virtual server as the kernel has it. */
export interface SavedService {
  /** What commands name it by: `-t 10.0.0.1:80`, `-f 17 -6`. */
  readonly name: string
  /** What stands behind the name: `-s rr -p 300 -M 255.255.0.0`. */
  readonly options: string
  /** Absent for a firewall mark. */
  readonly key?: VirtualServerKey
  /** In the order of the text. */
  readonly realServers: readonly SavedRealServer[]
}

export interface SavedRealServer {
  readonly name: RealServerKey
  /** What stands behind the name: `-m -w 1`, `-i -w 1 --tun-type ipip`. */
  readonly options: string
  readonly weight: number
}

export interface ParsedIpvsadmSave {
  /** In the order of the text. */
  readonly services: readonly SavedService[]
  readonly issues: readonly Issue[]
}

const SERVICE = /^-A (-[tuf] \S+|--sctp-service \S+)( -6)? (-s .+)$/
const REAL_SERVER = /^-a (-[tuf] \S+|--sctp-service \S+)( -6)? -r (\S+) (-.* ?-w (\d+)(?: .*)?)$/
const PROTOCOL_OF_FLAG: Readonly<Record<string, Protocol>> = { '-t': 'tcp', '-u': 'udp', '--sctp-service': 'sctp' }

export function parseIpvsadmSave(text: string): ParsedIpvsadmSave {
  const services = new Map<string, SavedService & { readonly realServers: SavedRealServer[] }>()
  const issues: Issue[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue
    const problem = line.startsWith('-A ') ? readService(line, services) : readRealServer(line, services)
    if (problem === undefined) continue
    const message = `${JSON.stringify(line.slice(0, 80))} ${problem}: give the unchanged output of ipvsadm -Sn`
    issues.push({ severity: 'error', at: { line: index + 1 }, message })
  }
  return { services: [...services.values()], issues }
}

const OUR_OPTIONS = /^-s (\S+)(?: -p ([1-9]\d*))?(?: -b (\S+))?$/
const OUR_REAL_SERVER = /^-m -w \d+$/

/**
 * The same in the model, real servers sorted by key; undefined when it, or one of its real servers, has something that
 * sluice never makes.
 */
export function readVirtualServer(service: SavedService): VirtualServer | undefined {
  const at = readName(service.name)
  const [, scheduler, persistence, flags] = OUR_OPTIONS.exec(service.options) ?? []
  if (at === undefined || scheduler === undefined) return undefined
  const realServers: RealServer[] = []
  for (const { name, options, weight } of service.realServers.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const endpoint = readEndpoint(name)
    if (endpoint === undefined || !OUR_REAL_SERVER.test(options)) return undefined
    realServers.push({ ...endpoint, weight })
  }
  return {
    ...at,
    scheduler,
    schedulerFlags: flags?.split(',') ?? [],
    ...(persistence !== undefined && { persistenceSeconds: Number(persistence) }),
    realServers,
  }
}

type GrowingServices = Map<string, SavedService & { readonly realServers: SavedRealServer[] }>

/** What is wrong with the line, if anything. */
function readService(line: string, services: GrowingServices): string | undefined {
  const [, at, inet6 = '', options] = SERVICE.exec(line) ?? []
  if (at === undefined || options === undefined) return 'is no service'
  const name = at + inet6
  const address = readName(name)
  const key = address === undefined ? undefined : virtualServerKey(address)
  if (key === undefined && !name.startsWith('-f ')) return 'has no address and port as numbers'
  services.set(name, { name, options, ...(key !== undefined && { key }), realServers: [] })
  return undefined
}

function readRealServer(line: string, services: GrowingServices): string | undefined {
  const [, at, inet6 = '', name, options, weight] = REAL_SERVER.exec(line) ?? []
  if (at === undefined || name === undefined || options === undefined) return 'is no line of it'
  const service = services.get(at + inet6)
  if (service === undefined) return 'belongs to no service above it'
  const endpoint = readEndpoint(name)
  if (endpoint === undefined) return 'has no address and port as numbers'
  service.realServers.push({ name: formatEndpoint(endpoint.address, endpoint.port), options, weight: Number(weight) })
  return undefined
}

function readName(name: string): Pick<VirtualServer, 'protocol' | 'address' | 'port'> | undefined {
  const [flag = '', endpoint = ''] = name.split(' ')
  const protocol = PROTOCOL_OF_FLAG[flag]
  const at = readEndpoint(endpoint)
  return protocol === undefined || at === undefined ? undefined : { protocol, ...at }
}

/** `10.0.0.1:80`, `[fd00::1]:80`; port 0 stands for all ports. */
function readEndpoint(text: string): Pick<RealServer, 'address' | 'port'> | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const address = parseIp(bracketed ?? plain ?? '')
  return address === undefined ? undefined : { address, port: Number(port) }
}
