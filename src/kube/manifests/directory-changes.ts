// Whether files changed: told by the kernel, and by comparing what the filesystem says about them.
import { type FSWatcher, type WatchListener, watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Issue } from '../../model/issue.ts'

/**
 * A text that differs when a file or folder was added, removed, replaced or written to. Symbolic links are followed.
 */
export async function signFiles(paths: readonly string[]): Promise<string> {
  const parts: string[] = []
  for (const given of paths) {
    const names = await readdir(given).catch(() => [])
    for (const file of [given, ...names.map((name) => path.join(given, name))]) {
      const status = await stat(file, { bigint: true }).catch(() => undefined)
      // A folder's own time changes with every temporary file in it.
      const times = status?.isDirectory() ? '' : `${status?.mtimeNs} ${status?.size}`
      parts.push(`${file}\0${status?.dev} ${status?.ino} ${times}`)
    }
  }
  return parts.join('\n')
}

export interface FolderWatch {
  /** Watches what now stands at the paths, after something may have been replaced. */
  renew(): void
  /** Why the kernel does not tell of changes, if it does not. */
  problem(): Issue | undefined
  close(): void
}

/** In a mounted ConfigMap, files are links through this link, which is swapped. */
const MOUNTED_VERSION = '..data'

/** Calls the listener after changes in the folders, and in the folders of the files. */
export function watchFolders(paths: readonly string[], listener: () => void): FolderWatch {
  let watchers: readonly FSWatcher[] = []
  let problem: Issue | undefined
  let isClosed = false
  const open = (file: string, hear: WatchListener<string>): readonly FSWatcher[] => {
    try {
      const watcher = watch(file, hear)
      // Such as the removal of the folder; the next look at the files finds out.
      watcher.on('error', listener)
      return [watcher]
    } catch (error) {
      problem ??= unwatchable(file, error)
      return []
    }
  }
  const close = (opened: readonly FSWatcher[]) => {
    for (const watcher of opened) watcher.close()
  }
  const renew = () => {
    if (isClosed) return
    const before = watchers
    problem = undefined
    watchers = paths
      .map((given) => path.resolve(given))
      .flatMap((file) => [
        ...open(file, () => listener()),
        // A file or folder that is renamed into place is a change in its parent.
        ...open(path.dirname(file), (_event, name) => {
          if (name === null || name === path.basename(file) || name === MOUNTED_VERSION) listener()
        }),
      ])
    close(before)
  }
  renew()
  return {
    renew,
    problem: () => problem,
    close: () => {
      isClosed = true
      close(watchers)
    },
  }
}

/** Nothing for a path that does not exist: reading it says so. */
function unwatchable(folder: string, error: unknown): Issue | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  if (code === 'ENOENT') return undefined
  const advice =
    code === 'ENOSPC' || code === 'EMFILE'
      ? 'raise the sysctls fs.inotify.max_user_watches and fs.inotify.max_user_instances'
      : 'put the manifests on a filesystem that tells of changes'
  const message = `changes are noticed only every few seconds, because the kernel does not tell of them (${code}): ${advice}`
  return { severity: 'notice', at: { source: folder }, message }
}
