// What this program asks the kernel over netlink: one request, one answer, then the socket is closed. Nothing here ever
// subscribes to events: an overrun of the receive buffer aborts the whole process, and no handler can stop that.
// The package is loaded on first use, because it is a native addon that not every platform has.
import type { NetlinkSocket } from 'netlink'
import { type Ip, parseIp } from '../model/address.ts'
import { IPVS_DEVICE } from '../model/host.ts'

export type Netlink = typeof import('netlink')

const TIMEOUT_MS = 2_000
/** linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_acct.h */
const NFNL_SUBSYS_ACCT = 7
const NFNL_MSG_ACCT_GET = 1
const NFACCT_NAME = 1
/** struct nfgenmsg: family unspecified, version 0, no resource. */
const NFGENMSG = Buffer.alloc(4)

/** Throws where the addon does not load. */
export function loadNetlink(): Promise<Netlink> {
  return import('netlink')
}

/**
 * The addresses of all interfaces, up or down, in the kernel's order, without those that a Service has on this node.
 * Throws when the kernel does not answer.
 */
export async function readAddresses(netlink: Netlink): Promise<readonly Ip[]> {
  const rtnetlink = netlink.createRtNetlink()
  // One after the other: the package takes the answers of two dumps for one.
  const [all, links] = await finish(
    rtnetlink.socket,
    (async () => {
      const addresses = await rtnetlink.getAddresses({}, {}, { timeout: TIMEOUT_MS })
      return [addresses, await rtnetlink.getLinks({}, {}, { timeout: TIMEOUT_MS })] as const
    })(),
  )
  const ours = links.find(({ attrs }) => attrs.ifname === IPVS_DEVICE)?.data.index
  const messages = all.filter(({ data }) => data.index !== ours)
  // On a point-to-point interface `address` is the other end, and `local` is ours.
  return messages.flatMap(({ attrs }) => ipOfBytes(attrs.local ?? attrs.address) ?? [])
}

export type CounterSupport = 'supported' | 'unsupported' | 'not permitted'

/**
 * Whether the kernel has nfacct counters: asked for one that does not exist, it must say so. This is how kube-proxy
 * probes. Without CAP_NET_ADMIN the kernel refuses to answer.
 */
export async function probeCounters(netlink: Netlink): Promise<CounterSupport> {
  const socket = netlink.createNetlink(netlink.Protocol.NETFILTER)
  const attributes = new netlink.AttrStream()
  attributes.push(NFACCT_NAME, Buffer.from('sluice-no-such-counter\0'))
  const type = (NFNL_SUBSYS_ACCT << 8) | NFNL_MSG_ACCT_GET
  try {
    await finish(socket, socket.request(type, [NFGENMSG, ...attributes.bufs], { timeout: TIMEOUT_MS }))
    return 'unsupported'
  } catch (error) {
    // The package gives no code, only this text.
    const text = String(error)
    if (text.includes('ENOENT')) return 'supported'
    return text.includes('EPERM') ? 'not permitted' : 'unsupported'
  }
}

async function finish<T>(socket: NetlinkSocket, answer: Promise<T>): Promise<T> {
  try {
    return await Promise.race([answer, new Promise<never>((_, reject) => socket.on('error', reject))])
  } finally {
    socket.close()
  }
}

export function ipOfBytes(bytes: Buffer | undefined): Ip | undefined {
  if (bytes?.length === 4) return parseIp(bytes.join('.'))
  return bytes?.length === 16 ? parseIp(bytes.toString('hex').replace(/....(?!$)/g, '$&:')) : undefined
}
