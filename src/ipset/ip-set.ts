// The nouns of ipset: a named set of one type, with entries as the tool prints them, so that comparing is `===`.
import type { Family } from '../model/address.ts'

export type SetName = string

export type SetType = 'hash:ip' | 'hash:ip,port' | 'hash:ip,port,ip' | 'hash:ip,port,net' | 'bitmap:port'

/** What `ipset create` is told; a set of another header has to be made anew. */
export interface SetHeader {
  readonly name: SetName
  readonly type: SetType
  /** Absent for bitmap:port. */
  readonly family?: Family
  /** The most entries it can hold; absent for bitmap:port. */
  readonly maxelem?: number
}

export interface IpSet {
  readonly header: SetHeader
  /** As `ipset save` prints them: `10.0.0.1,tcp:80,10.0.0.1`, `30080`. */
  readonly entries: ReadonlySet<string>
}

/** kube-proxy's, kept for hash sets unless more is needed. */
const DEFAULT_MAXELEM = 65_536
export const HASH_SIZE = 1_024

/** The limit of a set that has to hold so many entries: powers of two, so that few sets are ever made anew. */
export function maxelemFor(entries: number): number {
  return entries <= DEFAULT_MAXELEM ? DEFAULT_MAXELEM : 2 ** Math.ceil(Math.log2(entries))
}
