// What nf_tables says of the rules without showing them (linux/netfilter/nf_tables.h).
import { createHash } from 'node:crypto'
import { NetlinkError } from '../host/hands.ts'
import type { Netlink } from '../host/netlink.ts'
import type { Family } from '../model/address.ts'
import { findAttribute, firstAttribute, netfilterPayload } from './netlink-message.ts'
import { withNetfilter } from './netlink-session.ts'

const NFTABLES = 10 << 8
const GETCHAIN = NFTABLES | 4
const GETGEN = NFTABLES | 16
const GEN_ID = 1
const CHAIN_NAME = 3
const CHAIN_HOOK = 4
const PROTOCOLS: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 10 }
const OWN = Buffer.from('KUBE-')
const GATHERED_BYTES = 65_536

/** The number of transactions that this network namespace's rules have had; modulo 2^32, and never 0. */
export async function readGeneration(netlink: Netlink): Promise<number> {
  let generation = 0
  await withNetfilter(netlink, 'questions', (session) =>
    session.ask(GETGEN, 0, netfilterPayload(0, []), (datagram, message) => {
      const id = findAttribute(datagram, firstAttribute(message), message.to, GEN_ID)
      if (id >= 0) generation = datagram.readUInt32BE(id)
    }),
  )
  if (generation === 0) throw new NetlinkError('ENODATA', 'the kernel does not count the changes of its rules')
  return generation
}

/**
 * A digest of the chains whose names begin with KUBE-: table, name, handle (another one when the chain was made again),
 * and use, which is the number of rules in the chain and of those that lead to it. A dump that the kernel had to
 * interrupt has a digest that is no other's.
 */
export function fingerprintChains(netlink: Netlink, family: Family): Promise<string> {
  return withNetfilter(netlink, 'dump', async (session) => {
    const hash = createHash('sha256')
    const gathered = Buffer.alloc(GATHERED_BYTES)
    let length = 0
    const request = netfilterPayload(PROTOCOLS[family], [])
    const outcome = await session.dump(GETCHAIN, request, (datagram, message) => {
      const from = firstAttribute(message)
      const name = findAttribute(datagram, from, message.to, CHAIN_NAME)
      if (name < 0 || datagram.compare(OWN, 0, OWN.length, name, name + OWN.length) !== 0) return
      // A base chain also has counters of packets.
      if (findAttribute(datagram, from, message.to, CHAIN_HOOK) >= 0) return
      if (length + message.to - from > gathered.length) {
        hash.update(gathered.subarray(0, length))
        length = 0
      }
      length += datagram.copy(gathered, length, from, message.to)
    })
    hash.update(gathered.subarray(0, length))
    return outcome === 'complete' ? hash.digest('base64') : `interrupted ${process.hrtime.bigint()}`
  })
}
