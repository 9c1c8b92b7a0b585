// Virtual servers and who has each. The kernel keeps one for an address, port and protocol, so of several ServicePorts
// that claim it the first by name has it (resolve/conflicts.ts names the others), whatever the order of claims was.
import type { OwnedVirtualServer } from './program.ts'
import { type VirtualServer, type VirtualServerKey, virtualServerKey } from './virtual-server.ts'

export interface Claims {
  /** Those that have their virtual server; changes with every claim. */
  readonly held: ReadonlyMap<VirtualServerKey, OwnedVirtualServer>
  /** A second claim of the same owner takes the place of its first. */
  readonly claim: (owner: string, virtualServer: VirtualServer) => void
  /** The next by name gets it. */
  readonly release: (owner: string, key: VirtualServerKey) => void
}

export function createClaims(): Claims {
  const held = new Map<VirtualServerKey, OwnedVirtualServer>()
  /** Rarely any. */
  const waiting = new Map<VirtualServerKey, Map<string, OwnedVirtualServer>>()
  const wait = (key: VirtualServerKey, claim: OwnedVirtualServer) => {
    const others = waiting.get(key)
    if (others === undefined) waiting.set(key, new Map([[claim.owner, claim]]))
    else others.set(claim.owner, claim)
  }
  const stopWaiting = (key: VirtualServerKey, owner: string) => {
    const others = waiting.get(key)
    others?.delete(owner)
    if (others?.size === 0) waiting.delete(key)
  }
  return {
    held,
    claim: (owner, virtualServer) => {
      const key = virtualServerKey(virtualServer)
      const claim = { owner, virtualServer }
      const holder = held.get(key)
      if (holder !== undefined && holder.owner !== owner) {
        if (compareOwners(holder.owner, owner) < 0) return wait(key, claim)
        wait(key, holder)
      }
      held.set(key, claim)
    },
    release: (owner, key) => {
      if (held.get(key)?.owner !== owner) return stopWaiting(key, owner)
      const [next] = [...(waiting.get(key)?.values() ?? [])].toSorted((a, b) => compareOwners(a.owner, b.owner))
      if (next === undefined) held.delete(key)
      else {
        stopWaiting(key, next.owner)
        held.set(key, next)
      }
    },
  }
}

/** The order of ServicePorts: by name, then protocol. Names have no blanks. */
export function compareOwners(a: string, b: string): number {
  const endOfA = a.lastIndexOf(' ')
  const endOfB = b.lastIndexOf(' ')
  const nameOfA = a.slice(0, endOfA)
  const nameOfB = b.slice(0, endOfB)
  if (nameOfA !== nameOfB) return nameOfA < nameOfB ? -1 : 1
  const protocolOfA = a.slice(endOfA)
  const protocolOfB = b.slice(endOfB)
  return protocolOfA < protocolOfB ? -1 : protocolOfA > protocolOfB ? 1 : 0
}
