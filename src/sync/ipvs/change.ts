// What has to be done in the kernel besides rules, from what is desired and what is known. Nothing here writes.
import { diffSet, type SetDiff, type SetLine } from '../../ipset/diff.ts'
import type { SetName } from '../../ipset/ip-set.ts'
import type { IpvsState, Touched } from '../../ipvs/program.ts'
import type { IpvsSettings } from '../../ipvs/settings.ts'
import type { VirtualServerKey } from '../../ipvs/virtual-server.ts'
import type { Ip } from '../../model/address.ts'
import { isExcluded, type KernelPicture, temporarySet } from './picture.ts'

export interface SetsChange {
  readonly diffs: ReadonlyMap<SetName, SetDiff>
  /** Lines to do first. */
  readonly grow: readonly SetLine[]
  /** Lines to do in one batch with `grow`, behind it; none without it. */
  readonly swept: readonly SetLine[]
  /** Lines to do last. */
  readonly shrink: readonly SetLine[]
  /** Sets that no rule may name while `grow` is done. */
  readonly replaced: readonly SetName[]
}

/** `touched`: what to compare; everything when absent. `skip`: entries that are left as they are. */
export function planSets(
  state: IpvsState,
  picture: KernelPicture,
  touched: Touched | undefined,
  skip: (set: SetName, entry: string) => boolean,
): SetsChange {
  const diffs = new Map<SetName, SetDiff>()
  for (const name of touched?.entries.keys() ?? state.sets.keys()) {
    const desired = state.sets.get(name)
    const entries = touched?.entries.get(name)
    if (desired === undefined) continue
    const diff = diffSet(desired, picture.sets.get(name), {
      ...(entries && { touched: entries }),
      skip: (entry) => skip(name, entry),
      temporary: temporarySet(state.family),
    })
    diffs.set(name, diff)
  }
  return {
    diffs,
    grow: [...diffs.values()].flatMap(({ grow }) => grow),
    swept: [],
    shrink: [...diffs.values()].flatMap(({ shrink }) => shrink),
    replaced: [...diffs].filter(([, { replaced }]) => replaced).map(([name]) => name),
  }
}

export interface AddressesChange {
  readonly add: readonly Ip[]
  readonly remove: readonly Ip[]
  readonly deviceMissing: boolean
}

/** Addresses that the configuration excludes are not removed. */
export function planAddresses(
  state: IpvsState,
  { addresses }: KernelPicture,
  touched: Touched | undefined,
  settings: IpvsSettings,
): AddressesChange {
  const there = addresses ?? new Set<Ip>()
  const wanted = state.addresses
  return {
    add: [...(touched?.addresses ?? wanted)].filter((ip) => wanted.has(ip) && !there.has(ip)),
    remove: [...(touched?.addresses ?? there)].filter(
      (ip) => there.has(ip) && !wanted.has(ip) && !isExcluded(ip, settings),
    ),
    deviceMissing: addresses === undefined,
  }
}

/**
 * The virtual servers to compare, in the order in which they are changed: the kubernetes Service first, because everything
 * on a new node waits for the API server, and what nobody wants last.
 */
export function serversToCompare(
  { virtualServers }: Pick<IpvsState, 'virtualServers'>,
  { servers }: Pick<KernelPicture, 'servers'>,
  touched: Touched | undefined,
): readonly VirtualServerKey[] {
  const first: VirtualServerKey[] = []
  const wanted: VirtualServerKey[] = []
  const stale: VirtualServerKey[] = []
  for (const key of touched?.virtualServers ?? virtualServers.keys()) {
    const owner = virtualServers.get(key)?.owner
    if (owner === undefined) stale.push(key)
    else if (API_SERVER.test(owner)) first.push(key)
    else wanted.push(key)
  }
  if (touched === undefined) for (const key of servers.keys()) if (!virtualServers.has(key)) stale.push(key)
  return [...first, ...wanted, ...stale]
}

const API_SERVER = /^default\/kubernetes[: ]/
