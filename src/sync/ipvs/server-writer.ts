// Brings virtual servers to what is desired, in one batch when the kernel takes it. When it does not, the tool does not say
// which line was bad (tools.ts), so the kernel is read back and what is still missing is tried again in halves, until it is
// known whose fault it is: that virtual server is left as it is, and all others are programmed.
import { diffVirtualServer, type ServerDiff } from '../../ipvs/diff.ts'
import type { IpvsState } from '../../ipvs/program.ts'
import type { IpvsSettings } from '../../ipvs/settings.ts'
import type { RealServerKey, VirtualServer, VirtualServerKey } from '../../ipvs/virtual-server.ts'
import { isExcluded, type KernelPicture } from './picture.ts'
import type { Refusals, Subject } from './refusals.ts'
import type { Terminations } from './terminations.ts'
import type { IpvsTools } from './tools.ts'

export interface ServerTask {
  readonly state: IpvsState
  readonly settings: IpvsSettings
  /** Brought up to date. */
  readonly picture: KernelPicture
  /** The virtual servers of ours in the kernel. */
  readonly reread: () => Promise<ReadonlyMap<VirtualServerKey, VirtualServer>>
  /** Called before each batch; throws to end. */
  readonly onBatch: () => void
}

export interface ServerWriter {
  /** The number of lines written. `finished`: real servers to delete. */
  readonly bring: (task: ServerTask, keys: readonly VirtualServerKey[], finished?: Finished) => Promise<number>
  /** Like `bring`, with those that the kernel refused before, each alone. */
  readonly retry: (task: ServerTask, keys: readonly VirtualServerKey[]) => Promise<number>
}

export type Finished = ReadonlyMap<VirtualServerKey, ReadonlySet<RealServerKey>>

export interface ServerWriterOptions {
  readonly tools: Pick<IpvsTools, 'restoreServers'>
  readonly refusals: Refusals
  readonly terminations: Terminations
  readonly onRefused: (subject: Subject, owner: string, error: Error) => void
  readonly onReinstated: (owner: string) => void
}

export function createServerWriter(options: ServerWriterOptions): ServerWriter {
  const { tools, refusals, terminations, onRefused, onReinstated } = options

  const keep = ({ picture }: ServerTask, key: VirtualServerKey, { after, terminating }: ServerDiff) => {
    if (after === undefined) picture.servers.delete(key)
    else picture.servers.set(key, after)
    terminations.set(key, terminating)
    const owner = refusals.remove(serverSubject(key))
    if (owner !== undefined) onReinstated(owner)
  }

  const refuse = ({ state }: ServerTask, key: VirtualServerKey, error: Error) => {
    const desired = state.virtualServers.get(key)
    const owner = desired?.owner ?? key
    refusals.add(serverSubject(key), owner, desired?.virtualServer)
    onRefused(serverSubject(key), owner, error)
  }

  const bringGroups = async (task: ServerTask, groups: (readonly VirtualServerKey[])[], finished: Finished) => {
    let written = 0
    let failures = 0
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      const diffs = group.map((key) => [key, diffOf(task, key, finished)] as const)
      const lines = diffs.flatMap(([, { lines: own }]) => own)
      if (lines.length > 0) task.onBatch()
      const error = await tools.restoreServers(lines)
      if (error === undefined) {
        for (const [key, change] of diffs) keep(task, key, change)
        written += lines.length
        continue
      }
      failures += 1
      if (failures > MOST_FAILURES) throw error
      await readAgain(task, group)
      const rest: VirtualServerKey[] = []
      for (const key of group) {
        const change = diffOf(task, key, finished)
        if (change.lines.length === 0) keep(task, key, change)
        else rest.push(key)
      }
      if (rest.length === 1 && rest[0] !== undefined && group.length === 1) refuse(task, rest[0], error)
      else if (rest.length > 0) groups.unshift(...halve(rest))
    }
    return written
  }

  return {
    bring: (task, keys, finished = new Map()) => {
      const possible = keys.filter(
        (key) => !refusals.holds(serverSubject(key), task.state.virtualServers.get(key)?.virtualServer),
      )
      return bringGroups(task, [possible], finished)
    },
    retry: (task, keys) =>
      bringGroups(
        task,
        keys.map((key) => [key]),
        new Map(),
      ),
  }
}

function diffOf({ state, settings, picture }: ServerTask, key: VirtualServerKey, finished: Finished): ServerDiff {
  const desired = state.virtualServers.get(key)?.virtualServer
  const present = picture.servers.get(key)
  // No longer ours: the configuration leaves it to somebody else.
  if (desired === undefined && present !== undefined && isExcluded(present.address, settings)) return NOTHING
  return diffVirtualServer(desired, present, finished.get(key))
}

/** Brings these in the picture up to date. */
async function readAgain({ picture, reread }: ServerTask, keys: readonly VirtualServerKey[]): Promise<void> {
  const present = await reread()
  for (const key of keys) {
    const server = present.get(key)
    if (server === undefined) picture.servers.delete(key)
    else picture.servers.set(key, server)
  }
}

function serverSubject(key: VirtualServerKey): Subject {
  return { kind: 'virtual server', key }
}

/** Of batches in one sync: when the kernel refuses everything, each virtual server for itself is no way on. */
const MOST_FAILURES = 100

const NOTHING: ServerDiff = { lines: [], terminating: [] }

function halve<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length === 1) return [items]
  const middle = Math.ceil(items.length / 2)
  return [items.slice(0, middle), items.slice(middle)]
}
