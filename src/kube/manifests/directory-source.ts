// Manifests on disk as a stream of Snapshots, for a host without an API server (`sluice run -f DIR`).
//
// Everything that is named is one picture: when any file is broken nothing of the new picture is applied, because an
// object that is missing in a half-written file may be one that was moved there. Errors of objects that were never good
// do not stand in the way: as with `sluice render`, such objects are left out and reported.
//
// The kernel tells of changes within milliseconds, but not on network filesystems, nor behind symbolic links into other
// folders: for these the files are also looked at every few seconds.
import { isDeepStrictEqual } from 'node:util'
import type { Issue } from '../../model/issue.ts'
import type { Node, ServiceEntry, Snapshot } from '../../model/snapshot.ts'
import { objectTitle } from '../decode/decode-schema.ts'
import { signFiles, watchFolders } from './directory-changes.ts'
import type { RawObject } from './documents.ts'
import { assembleSnapshot, InputError, readManifests } from './manifest.ts'

export interface DirectoryOptions {
  /** Files and directories, by the rules of readManifests; `-` is refused, because it can't be read again. */
  readonly paths: readonly string[]
  /** Only called when something differs from the Snapshot before. */
  readonly onSnapshot: (snapshot: Snapshot) => void
  /** All that is wrong now, whenever that changes; empty when everything was put right. */
  readonly onIssues: (issues: readonly Issue[]) => void
  readonly signal: AbortSignal
  /** Milliseconds without a change before files are read; 100 when absent. Waiting ends after ten times as long. */
  readonly settleMs?: number
  /** Milliseconds between looks at the files; 5000 when absent. */
  readonly pollMs?: number
}

/**
 * Reads the files, and reads them again whenever they change, until the signal is aborted. Unchanged Services and Nodes
 * are the same objects as before. A state that can't be used is reported, and the last good one stays; that holds for
 * the first state too, and for a directory from which every manifest is gone.
 * @throws InputError when a path can't be watched whatever is in it.
 */
export async function watchDirectory(options: DirectoryOptions): Promise<void> {
  const { paths, signal, settleMs = 100, pollMs = 5_000 } = options
  if (paths.includes('-')) throw new InputError('standard input can be read only once: name files or directories')
  const wait = createWaiting(signal)
  const folders = watchFolders(paths, () => wait.hear())
  const apply = createApplying(options)
  let isFirst = true
  let seen: string | undefined
  try {
    while (!signal.aborted) {
      if (wait.heard() || (await signFiles(paths)) !== seen) {
        folders.renew()
        if (!isFirst) await wait.settle(settleMs)
        isFirst = false
        // Taken before reading: a change during the reading is seen as one afterwards.
        const signature = await signFiles(paths)
        const isReadable = signal.aborted || (await apply(folders.problem()))
        // What could not be read is tried again at the next look, even if it seems unchanged.
        seen = isReadable ? signature : undefined
      }
      if (!wait.heard()) await wait.sleep(pollMs)
    }
  } finally {
    folders.close()
  }
}

interface Waiting {
  /** Something happened. */
  hear(): void
  /** Whether something happened since the last settle. */
  heard(): boolean
  /** Until nothing has happened for so long. */
  settle(milliseconds: number): Promise<void>
  /** Until something happens, at most so long. */
  sleep(milliseconds: number): Promise<void>
}

const LONGEST_SETTLE = 10

function createWaiting(signal: AbortSignal): Waiting {
  let heard = false
  let wake = () => {}
  const sleep = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) return resolve()
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  signal.addEventListener('abort', () => wake(), { once: true })
  return {
    hear: () => {
      heard = true
      wake()
    },
    heard: () => heard,
    settle: async (milliseconds) => {
      let left = milliseconds * LONGEST_SETTLE
      do {
        heard = false
        const before = performance.now()
        await sleep(Math.min(milliseconds, left))
        left -= performance.now() - before
      } while (heard && left > 0 && !signal.aborted)
      heard = false
    },
    sleep,
  }
}

/** Answers whether everything could be read. */
function createApplying({ paths, onSnapshot, onIssues }: DirectoryOptions): (watching?: Issue) => Promise<boolean> {
  let applied: { readonly snapshot: Snapshot; readonly good: ReadonlySet<string> } | undefined
  let reported: readonly Issue[] = []
  const report = (issues: readonly Issue[]) => {
    if (isDeepStrictEqual(issues, reported)) return
    reported = issues
    onIssues(issues)
  }
  return async (watching) => {
    const { objects, issues, isBroken } = await readState(paths)
    const assembly = assembleSnapshot(objects)
    const errors = assembly.issues.filter(({ severity }) => severity === 'error')
    const spoiled = errors.some(({ at }) => at.object !== undefined && applied?.good.has(at.object))
    const usable = !isBroken && !spoiled
    if (usable) {
      const snapshot = keepIdentity(assembly.snapshot, applied?.snapshot)
      const isNew = snapshot !== applied?.snapshot
      applied = { snapshot, good: goodObjects(objects, errors) }
      if (isNew) onSnapshot(snapshot)
    }
    report([...(watching === undefined ? [] : [watching]), ...issues, ...assembly.issues, ...(usable ? [] : [WAITING])])
    return !isBroken
  }
}

const WAITING: Issue = {
  severity: 'notice',
  at: {},
  message: 'nothing of the changed manifests is applied until these errors are corrected',
}

interface State {
  readonly objects: readonly RawObject[]
  readonly issues: readonly Issue[]
  readonly isBroken: boolean
}

async function readState(paths: readonly string[]): Promise<State> {
  try {
    const { objects, issues } = await readManifests(paths)
    return { objects, issues, isBroken: issues.some(({ severity }) => severity === 'error') }
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    return { objects: [], issues: [{ severity: 'error', at: {}, message: error.message }], isBroken: true }
  }
}

/** What issues call the objects, without those that have an error. */
function goodObjects(objects: readonly RawObject[], errors: readonly Issue[]): ReadonlySet<string> {
  const titles = objects.map(({ value }) => objectTitle(String(value['kind']), value, value['kind'] !== 'Node'))
  const spoiled = new Set(errors.map(({ at }) => at.object))
  return new Set(titles.filter((title) => !spoiled.has(title)))
}

/** The Snapshot with every unchanged part taken from the one before; the one before itself when nothing changed. */
function keepIdentity(next: Snapshot, before: Snapshot | undefined): Snapshot {
  if (before === undefined) return next
  const known = new Map(before.services.map((entry) => [entry.key, entry]))
  const services = next.services.map((entry): ServiceEntry => sameOr(entry, known.get(entry.key)))
  const nodes = new Map(
    [...next.nodes].map(([name, node]): [string, Node] => [name, sameOr(node, before.nodes.get(name))]),
  )
  const isSame =
    services.length === before.services.length &&
    nodes.size === before.nodes.size &&
    services.every((entry, index) => entry === before.services[index]) &&
    [...nodes].every(([name, node]) => node === before.nodes.get(name))
  return isSame ? before : { services, nodes }
}

function sameOr<T>(next: T, before: T | undefined): T {
  return before !== undefined && isDeepStrictEqual(next, before) ? before : next
}
