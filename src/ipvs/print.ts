// Prints virtual servers as `ipvsadm -Sn` shows them, and the lines of `ipvsadm -R`, which takes neither comments nor
// empty lines. Format: ipvsadm 1.31; test/second-kernel/ipvs-texts.test.ts holds it against the tool.
import { bareWord, partOfLine } from '../iptables/words.ts'
import { formatEndpoint } from '../model/address.ts'
import type { Protocol } from '../model/object-name.ts'
import type { SavedService } from './parse.ts'
import type { RealServer, VirtualServer } from './virtual-server.ts'

/** What commands name a virtual server by. */
export type VirtualServerAddress = Pick<VirtualServer, 'protocol' | 'address' | 'port'>
export type RealServerAddress = Pick<RealServer, 'address' | 'port'>

const SERVICE_FLAG: Readonly<Record<Protocol, string>> = { tcp: '-t', udp: '-u', sctp: '--sctp-service' }

/**
 * Canonical form: sorted by their -A lines, the -a lines of each sorted below it. Takes both those of ours and those that
 * the kernel showed.
 */
export function printIpvsadmSave(services: Iterable<VirtualServer | SavedService>): string {
  const blocks = [...services].map((service) => {
    const { name, options, realServers } = 'name' in service ? service : saveVirtualServer(service)
    const lines = realServers.map((real) => partOfLine(`-a ${name} -r ${real.name} ${real.options}`))
    return { head: partOfLine(`-A ${name} ${options}`), lines: lines.toSorted() }
  })
  blocks.sort((a, b) => (a.head < b.head ? -1 : 1))
  return blocks.map(({ head, lines }) => `${[head, ...lines].join('\n')}\n`).join('')
}

/** `-t 10.0.0.1:80`, `--sctp-service [fd00::1]:80` */
export function nameVirtualServer({ protocol, address, port }: VirtualServerAddress): string {
  return `${SERVICE_FLAG[protocol]} ${formatEndpoint(address, port)}`
}

/** What stands behind the name: `-s mh -p 10800 -b mh-port`. */
export function virtualServerOptions(virtualServer: VirtualServer): string {
  const { scheduler, persistenceSeconds, schedulerFlags } = virtualServer
  const persistence = persistenceSeconds === undefined ? '' : ` -p ${persistenceSeconds}`
  const flags = schedulerFlags.length === 0 ? '' : ` -b ${bareWord(schedulerFlags.join(','))}`
  return `-s ${bareWord(scheduler)}${persistence}${flags}`
}

/** What stands behind a real server's address: `-m -w 1`. */
function realServerOptions({ weight }: Pick<RealServer, 'weight'>): string {
  return `-m -w ${weight}`
}

export function addServerLine(virtualServer: VirtualServer): string {
  return `-A ${nameVirtualServer(virtualServer)} ${virtualServerOptions(virtualServer)}`
}

/** Changes everything but the address; real servers and connections stay. */
export function editServerLine(virtualServer: VirtualServer): string {
  return `-E ${nameVirtualServer(virtualServer)} ${virtualServerOptions(virtualServer)}`
}

/** Its connections are cut. */
export function deleteServerLine(virtualServer: VirtualServerAddress): string {
  return `-D ${nameVirtualServer(virtualServer)}`
}

export function addRealServerLine(virtualServer: VirtualServerAddress, realServer: RealServer): string {
  return `-a ${nameRealServer(virtualServer, realServer)} ${realServerOptions(realServer)}`
}

/** Changes its weight, and NAT becomes its way of forwarding. */
export function editRealServerLine(virtualServer: VirtualServerAddress, realServer: RealServer): string {
  return `-e ${nameRealServer(virtualServer, realServer)} ${realServerOptions(realServer)}`
}

export function deleteRealServerLine(virtualServer: VirtualServerAddress, realServer: RealServerAddress): string {
  return `-d ${nameRealServer(virtualServer, realServer)}`
}

function nameRealServer(virtualServer: VirtualServerAddress, { address, port }: RealServerAddress): string {
  return `${nameVirtualServer(virtualServer)} -r ${formatEndpoint(address, port)}`
}

/** One of ours, as the kernel will show it. */
function saveVirtualServer(virtualServer: VirtualServer): SavedService {
  return {
    name: nameVirtualServer(virtualServer),
    options: virtualServerOptions(virtualServer),
    realServers: virtualServer.realServers.map((real) => ({
      name: formatEndpoint(real.address, real.port),
      options: realServerOptions(real),
      weight: real.weight,
    })),
  }
}
