// The addresses of this machine's interfaces, and word when they change. A burst of changes that is faster than this
// process reads aborts it; the next one tells the main process to look again.
import { NetlinkError } from '../host/hands.ts'
import { type Netlink, readAddresses } from '../host/netlink.ts'
import type { Ip } from '../model/address.ts'

/** linux/rtnetlink.h */
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV6_IFADDR = 9
/** Changes come in bursts, and one word is enough for all of them. */
const GATHER_MS = 10
/** The kernel gives less where net.core.rmem_max says so. */
const RECEIVE_BYTES = 2_097_152

export async function listAddresses(netlink: Netlink): Promise<readonly Ip[]> {
  try {
    return await readAddresses(netlink)
  } catch (error) {
    throw new NetlinkError('EIO', `the addresses of this machine can't be read: ${String(error)}`)
  }
}

export interface AddressWatch {
  /**
   * Does work that changes many addresses, whose news could be more than the receive buffer holds. Nothing is heard
   * meanwhile, and one word is given afterwards.
   */
  deaf<T>(work: () => Promise<T>): Promise<T>
}

/** Calls `onChange` after addresses were added or removed. A socket that fails ends the process, which is started again. */
export function watchAddresses(netlink: Netlink, onChange: () => void): AddressWatch {
  const socket = new netlink.RawNetlinkSocket(netlink.Protocol.ROUTE, {
    recvBufferSize: RECEIVE_BYTES,
    sendBufferSize: 0,
  })
  let gathering = false
  const gather = () => {
    if (gathering) return
    gathering = true
    setTimeout(() => {
      gathering = false
      onChange()
    }, GATHER_MS)
  }
  socket.on('message', gather)
  socket.on('error', (error) => {
    throw error
  })
  for (const group of GROUPS) socket.addMembership(group)
  return {
    deaf: async (work) => {
      for (const group of GROUPS) socket.dropMembership(group)
      try {
        return await work()
      } finally {
        for (const group of GROUPS) socket.addMembership(group)
        gather()
      }
    },
  }
}

const GROUPS = [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
