// The addresses of one interface, and the dummy interface that carries them (linux/rtnetlink.h, linux/if_link.h,
// linux/if_addr.h). In IPVS mode the kernel takes packets to a virtual server in only when their address is one of its own.
import ipaddr from 'ipaddr.js'
import { type AddressChange, NetlinkError } from '../host/hands.ts'
import { ipOfBytes, type Netlink } from '../host/netlink.ts'
import { FAMILIES, type Family, familyOfIp, type Ip } from '../model/address.ts'
import {
  attribute,
  endOfAttribute,
  findAttribute,
  type Message,
  NLM_F_CREATE,
  nestedAttribute,
} from './netlink-message.ts'
import { BATCH, type NetlinkSession, withRouting } from './netlink-session.ts'

const RTM_NEWLINK = 16
const RTM_GETLINK = 18
const RTM_DELLINK = 17
const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const RTM_GETADDR = 22
const NLM_F_EXCL = 0x200
const IFLA_IFNAME = 3
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
/** Nobody else can have the address: without it an IPv6 address does not serve for a second. */
const IFA_F_NODAD = 2
/** struct ifinfomsg, struct ifaddrmsg */
const LINK_HEADER = 16
const ADDRESS_HEADER = 8
const FAMILY_NUMBER: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 10 }
const HOST_BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/** Both families; undefined when there is no such interface. */
export async function listDeviceAddresses(netlink: Netlink, device: string): Promise<readonly Ip[] | undefined> {
  const index = await findDevice(netlink, device)
  if (index === undefined) return undefined
  const found: Ip[] = []
  for (const family of FAMILIES) {
    await withRouting(netlink, 'dump', (session) =>
      session.dump(RTM_GETADDR, addressMessage(family, 0, []), (datagram, message) => {
        const ip = addressOf(datagram, message, index)
        if (ip !== undefined) found.push(ip)
      }),
    )
  }
  return found
}

/**
 * Makes the interface, of type dummy, when it is missing. Addresses that are there already, or gone already, are as
 * wanted. Throws NetlinkError with the kernel's code: ENOTSUP, Node's name for EOPNOTSUPP, when it
 * has no dummy interfaces.
 */
export async function changeDeviceAddresses(netlink: Netlink, device: string, change: AddressChange): Promise<void> {
  const index = (await findDevice(netlink, device)) ?? (await makeDevice(netlink, device))
  await withRouting(netlink, 'questions', async (session) => {
    await sendAll(session, RTM_DELADDR, index, change.remove, 'EADDRNOTAVAIL')
    await sendAll(session, RTM_NEWADDR, index, change.add, 'EEXIST')
  })
}

/** Whether there was one. */
export async function deleteDevice(netlink: Netlink, device: string): Promise<boolean> {
  const index = await findDevice(netlink, device)
  if (index === undefined) return false
  await withRouting(netlink, 'questions', (session) => session.ask(RTM_DELLINK, 0, linkMessage(index, [])))
  return true
}

async function makeDevice(netlink: Netlink, device: string): Promise<number> {
  const kind = nestedAttribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, Buffer.from('dummy'))])
  await withRouting(netlink, 'questions', (session) =>
    session.ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, linkMessage(0, [nameAttribute(device), kind])),
  )
  const index = await findDevice(netlink, device)
  if (index === undefined) throw new NetlinkError('ENODEV', `the interface ${device} was made, and is not there`)
  return index
}

async function findDevice(netlink: Netlink, device: string): Promise<number | undefined> {
  let index: number | undefined
  try {
    await withRouting(netlink, 'questions', (session) =>
      session.ask(RTM_GETLINK, 0, linkMessage(0, [nameAttribute(device)]), (datagram, { from }) => {
        index = datagram.readInt32LE(from + 4)
      }),
    )
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined
    throw error
  }
  return index
}

async function sendAll(
  session: NetlinkSession,
  type: number,
  index: number,
  ips: readonly Ip[],
  fine: string,
): Promise<void> {
  for (let at = 0; at < ips.length; at += BATCH) {
    const batch = ips.slice(at, at + BATCH)
    const codes = await session.askAll(
      type,
      batch.map((ip) => hostAddress(index, ip)),
    )
    for (const [position, code] of codes.entries()) {
      if (code === undefined || code === fine) continue
      const what = type === RTM_NEWADDR ? 'add' : 'remove'
      throw new NetlinkError(code, `the kernel did not ${what} the address ${batch[position]}: ${code}`)
    }
  }
}

function hostAddress(index: number, ip: Ip): Buffer {
  const bytes = Buffer.from(ipaddr.parse(ip).toByteArray())
  return addressMessage(familyOfIp(ip), index, [attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)])
}

function addressMessage(family: Family, index: number, attributes: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(ADDRESS_HEADER)
  header[0] = FAMILY_NUMBER[family]
  header[1] = HOST_BITS[family]
  header[2] = family === 'ipv6' ? IFA_F_NODAD : 0
  header.writeUInt32LE(index, 4)
  return Buffer.concat([header, ...attributes])
}

function linkMessage(index: number, attributes: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(LINK_HEADER)
  header.writeInt32LE(index, 4)
  return Buffer.concat([header, ...attributes])
}

function nameAttribute(device: string): Buffer {
  return attribute(IFLA_IFNAME, Buffer.from(`${device}\0`))
}

function addressOf(datagram: Buffer, { from, to }: Message, index: number): Ip | undefined {
  if (datagram.readUInt32LE(from + 4) !== index) return undefined
  const attributes = from + ADDRESS_HEADER
  const local = findAttribute(datagram, attributes, to, IFA_LOCAL)
  const value = local >= 0 ? local : findAttribute(datagram, attributes, to, IFA_ADDRESS)
  return value < 0 ? undefined : ipOfBytes(datagram.subarray(value, endOfAttribute(datagram, value)))
}
