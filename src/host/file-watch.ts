// Notices that a file was written, for the configuration: like kube-proxy, the agent then ends and its supervisor starts
// it with the new one.
//
// What counts: other content at the path, another file with any content in its place (a rename onto it, a mounted
// ConfigMap's swap of symbolic links), and the file being moved away. What does not: chmod, touch, the removal of the
// file, and its being created again with the content it had. The kernel's events do not tell these apart as Node passes
// them on, so an event only makes this look.
import { createHash } from 'node:crypto'
import { closeSync, type FSWatcher, fstatSync, openSync, readFileSync, watch } from 'node:fs'
import path from 'node:path'

/** Programs write a file in several steps. */
const SETTLE_MS = 50
/** For filesystems and symbolic links without events. */
const POLL_MS = 10_000

/**
 * Calls the listener after each write or rename, within a tenth of a second, or 10 s where the kernel does not tell of
 * changes. A file that does not exist yet may come later. Returns what ends it.
 */
export function onFileWritten(file: string, listener: () => void, pollMs = POLL_MS): () => void {
  let known = openVersion(file)
  let missing = known === undefined
  let settling: NodeJS.Timeout | undefined
  const look = () => {
    settling = undefined
    const found = openVersion(file)
    const written = found === undefined ? !missing && isMovedAway(known) : differs(found, known, missing)
    missing = found === undefined
    if (found !== undefined) {
      closeVersion(known)
      known = found
      watching.renew()
    }
    if (written) listener()
  }
  const lookSoon = () => {
    settling ??= setTimeout(look, SETTLE_MS)
  }
  const watching = watchFile(file, lookSoon)
  const polling = setInterval(lookSoon, pollMs)
  polling.unref()
  let isEnded = false
  return () => {
    if (isEnded) return
    isEnded = true
    clearInterval(polling)
    clearTimeout(settling)
    watching.close()
    closeVersion(known)
  }
}

/** What stands at the path. The open descriptor tells later whether the file was removed or moved away. */
interface Version {
  readonly descriptor: number
  readonly inode: string
  readonly digest: string
}

/** Undefined when nothing readable is there. */
function openVersion(file: string): Version | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const { dev, ino } = fstatSync(descriptor, { bigint: true })
    const digest = createHash('sha256').update(readFileSync(descriptor)).digest('hex')
    return { descriptor, inode: `${dev}:${ino}`, digest }
  } catch {
    if (descriptor !== undefined) closeSync(descriptor)
    return undefined
  }
}

function closeVersion(version: Version | undefined): void {
  if (version !== undefined) closeSync(version.descriptor)
}

/** A file that came back after it had been missing was created, which counts only if it says something else. */
function differs(found: Version, known: Version | undefined, wasMissing: boolean): boolean {
  if (found.digest !== known?.digest) return true
  return !wasMissing && found.inode !== known.inode
}

/** A removed file has no name left. */
function isMovedAway(version: Version | undefined): boolean {
  return version !== undefined && fstatSync(version.descriptor).nlink > 0
}

/** Its folder is watched for replacements, and what the path leads to for writes behind a symbolic link. */
function watchFile(file: string, listener: () => void): { renew(): void; close(): void } {
  let watchers: readonly FSWatcher[] = []
  const open = (target: string): readonly FSWatcher[] => {
    try {
      const watcher = watch(target, { persistent: false }, listener)
      watcher.on('error', listener)
      return [watcher]
    } catch {
      return []
    }
  }
  const close = () => {
    for (const watcher of watchers) watcher.close()
  }
  const renew = () => {
    const before = watchers
    watchers = [path.dirname(path.resolve(file)), file].flatMap(open)
    for (const watcher of before) watcher.close()
  }
  renew()
  return { renew, close }
}
