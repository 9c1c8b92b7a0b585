// Removes what IPVS mode left: all at once for `--cleanup`; when this node has changed to iptables mode, as connections
// through it end.
import { CommandError } from '../host/exec.ts'
import type { Hands } from '../host/hands.ts'
import type { SetName } from '../ipset/ip-set.ts'
import { parseIpsetSave } from '../ipset/parse.ts'
import { destroySetLine } from '../ipset/print.ts'
import { readConnectionCounts } from '../ipvs/connections.ts'
import { parseIpvsadmSave } from '../ipvs/parse.ts'
import { type Clock, pause } from '../kube/api/clock.ts'
import type { Cidr } from '../model/address.ts'
import { IPVS_DEVICE } from '../model/host.ts'
import {
  drainedServers,
  drainLines,
  findLeftovers,
  freeAddresses,
  type IpvsLeftovers,
  removeServerLines,
} from '../sync/ipvs/leftovers.ts'
import type { Log } from './log.ts'

export type LeftoverHands = Pick<
  Hands,
  'run' | 'listAddresses' | 'listDeviceAddresses' | 'changeDeviceAddresses' | 'deleteDevice'
>

const TIMEOUT_MS = 120_000
const NOTHING: IpvsLeftovers = { servers: new Map(), sets: [], device: false }

/** What is there. A kernel without the device has never had IPVS mode, and is not asked: asking would load modules. */
export async function readLeftovers(hands: LeftoverHands, excludeCIDRs: readonly Cidr[]): Promise<IpvsLeftovers> {
  const deviceAddresses = await hands.listDeviceAddresses(IPVS_DEVICE)
  if (deviceAddresses === undefined) return NOTHING
  const kernel = {
    services: parseIpvsadmSave(await outputOf(hands, ['ipvsadm', '-Sn'])).services,
    sets: parseIpsetSave(await outputOf(hands, ['ipset', 'save'])).sets,
    deviceAddresses,
    nodeAddresses: await hands.listAddresses(),
  }
  return findLeftovers(kernel, excludeCIDRs)
}

/**
 * Cuts the connections through them. Rules that name the sets must be gone; a set that another rule names stays, which is
 * logged. The device goes last, because without it nobody looks for the rest.
 */
export async function removeLeftovers(hands: LeftoverHands, leftovers: IpvsLeftovers, log: Log): Promise<void> {
  const { servers, sets, device } = leftovers
  if (!device) return
  await batch(hands, ['ipvsadm', '-R'], removeServerLines(servers.values()))
  const kept = await destroySets(hands, sets)
  for (const { set, error } of kept) log.warn('a set of IPVS mode stays: is there a rule that uses it?', { set, error })
  await hands.deleteDevice(IPVS_DEVICE)
  const removed = { virtualServers: servers.size, sets: sets.length - kept.length, device: IPVS_DEVICE }
  log.info('what IPVS mode left is removed', removed)
}

interface KeptSet {
  readonly set: SetName
  readonly error: CommandError
}

/** All at once, or, when one of them is refused, one by one. Returns those that stay. */
async function destroySets(hands: LeftoverHands, sets: readonly SetName[]): Promise<readonly KeptSet[]> {
  const destroy = async (some: readonly SetName[]): Promise<CommandError | undefined> => {
    try {
      await batch(hands, ['ipset', 'restore'], some.map(destroySetLine))
      return undefined
    } catch (error) {
      if (error instanceof CommandError && error.failure.kind === 'exit') return error
      throw error
    }
  }
  if ((await destroy(sets)) === undefined) return []
  const { sets: left } = parseIpsetSave(await outputOf(hands, ['ipset', 'save']))
  const kept: KeptSet[] = []
  for (const set of sets.filter((name) => left.has(name))) {
    const error = await destroy([set])
    if (error !== undefined) kept.push({ set, error })
  }
  return kept
}

export interface DrainOptions {
  readonly hands: LeftoverHands
  readonly clock: Clock
  readonly log: Log
  readonly excludeCIDRs: readonly Cidr[]
  /** Milliseconds after which connections that are left are cut. */
  readonly boundMs: number
  readonly signal: AbortSignal
}

/** How often to look whether connections have ended. */
const LOOK_MS = 5_000

/**
 * To be called when the rules of the new mode stand. New connections then go through these, and open ones through the
 * virtual servers until they end. Resolves when nothing is left; failures are logged and tried again.
 */
export async function drainLeftovers(options: DrainOptions): Promise<void> {
  const { hands, clock, log, signal, boundMs, excludeCIDRs } = options
  const started = clock.now()
  let announced = false
  let said = ''
  while (!signal.aborted) {
    try {
      const leftovers = await readLeftovers(hands, excludeCIDRs)
      if (!leftovers.device) return
      if (!announced && leftovers.servers.size > 0) {
        log.info('connections through IPVS, of the mode before, may end by themselves', {
          virtualServers: leftovers.servers.size,
          withinSeconds: boundMs / 1000,
        })
      }
      announced = true
      const done = await drainOnce(hands, leftovers)
      if (done || clock.now() - started >= boundMs) {
        await removeLeftovers(hands, await readLeftovers(hands, excludeCIDRs), log)
        return
      }
    } catch (error) {
      if (error instanceof CommandError && error.failure.kind === 'missing') {
        log.warn('IPVS mode left something, and the tool to remove it is not installed', { error })
        return
      }
      if (!signal.aborted && String(error) !== said) log.warn('what IPVS mode left could not be removed yet', { error })
      said = String(error)
    }
    await pause(clock, LOOK_MS, signal)
  }
}

/** Whether no connection is left. */
async function drainOnce(hands: LeftoverHands, leftovers: IpvsLeftovers): Promise<boolean> {
  await batch(hands, ['ipvsadm', '-R'], drainLines(leftovers))
  const counts = readConnectionCounts(await outputOf(hands, ['ipvsadm', '-Ln']))
  const drained = drainedServers(leftovers, counts)
  await batch(hands, ['ipvsadm', '-R'], removeServerLines(drained))
  const left = [...leftovers.servers.values()].filter((server) => !drained.includes(server))
  const remove = freeAddresses((await hands.listDeviceAddresses(IPVS_DEVICE)) ?? [], left)
  if (remove.length > 0 && left.length > 0) await hands.changeDeviceAddresses(IPVS_DEVICE, { add: [], remove })
  return left.length === 0
}

async function outputOf(hands: LeftoverHands, argv: readonly [string, ...string[]]): Promise<string> {
  return (await hands.run({ argv, timeoutMs: TIMEOUT_MS })).stdout
}

async function batch(
  hands: LeftoverHands,
  argv: readonly [string, ...string[]],
  lines: readonly string[],
): Promise<void> {
  if (lines.length > 0) await hands.run({ argv, stdin: `${lines.join('\n')}\n`, timeoutMs: TIMEOUT_MS })
}
