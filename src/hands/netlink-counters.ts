// Counters that rules can name (linux/netfilter/nfnetlink_acct.h).
import { NetlinkError } from '../host/hands.ts'
import type { Netlink } from '../host/netlink.ts'
import { attribute, findAttribute, firstAttribute, NLM_F_CREATE, netfilterPayload } from './netlink-message.ts'
import { withNetfilter } from './netlink-session.ts'

const ACCOUNTING = 7 << 8
const NEW = ACCOUNTING | 0
const GET = ACCOUNTING | 1
const NFACCT_NAME = 1
const NFACCT_PKTS = 2
/** The kernel keeps 32 bytes with the closing zero. */
const LONGEST_NAME = 31

/** Makes those that are missing; the names of those that exist now. */
export function ensureCounters(netlink: Netlink, names: readonly string[]): Promise<readonly string[]> {
  return withNetfilter(netlink, 'questions', async (session) => {
    const there: string[] = []
    for (const name of names) {
      if (Buffer.byteLength(name) > LONGEST_NAME) continue
      try {
        await session.ask(NEW, NLM_F_CREATE, netfilterPayload(0, [nameAttribute(name)]))
        there.push(name)
      } catch (error) {
        if (!(error instanceof NetlinkError) || error.code === 'TIMEOUT') throw error
        // The kernel's answer for one that exists already. Any other means that it is not to be had.
        if (error.code === 'EBUSY' || error.code === 'EEXIST') there.push(name)
      }
    }
    return there
  })
}

/** Packets counted since the counter was made, by name. */
export function readCounters(netlink: Netlink, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
  return withNetfilter(netlink, 'questions', async (session) => {
    const packets = new Map<string, number>()
    for (const name of names) {
      try {
        await session.ask(GET, 0, netfilterPayload(0, [nameAttribute(name)]), (datagram, message) => {
          const count = findAttribute(datagram, firstAttribute(message), message.to, NFACCT_PKTS)
          if (count >= 0) packets.set(name, Number(datagram.readBigUInt64BE(count)))
        })
      } catch (error) {
        // ENOENT: no such counter; EINVAL: a kernel without counters.
        if (!(error instanceof NetlinkError) || (error.code !== 'ENOENT' && error.code !== 'EINVAL')) throw error
      }
    }
    return packets
  })
}

function nameAttribute(name: string): Buffer {
  return attribute(NFACCT_NAME, Buffer.from(`${name}\0`))
}
