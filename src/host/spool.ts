// Private files through which a tool's large input and output pass, so that they never lie in the helper's memory: a
// folder of this process alone, removed when it closes; what a killed process left behind goes at the next start.
import { mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { CommandError } from './exec.ts'

export interface Spool {
  readonly folder: string
  /** A path in the folder that no file has had. */
  newPath(): string
  /** Writes the chunks to a new file that only this user can read, and gives its path. */
  write(chunks: Iterable<Uint8Array>): Promise<string>
  /** The text of the file, which is then removed; throws CommandError when it is longer than a text can be. */
  take(file: string, argv: readonly string[]): Promise<string>
  remove(file: string): Promise<void>
  close(): Promise<void>
}

const PREFIX = 'sluice-hands-'
const CHUNK = 1_048_576
/** Bytes; V8's texts end at 536 million characters. */
const MAX_OUTPUT = 400_000_000

/** Folders of spools of this process that are open. */
const ours = new Set<string>()

/** Throws when no folder can be made in `parent`. */
export async function openSpool(parent: string): Promise<Spool> {
  await removeLeftovers(parent)
  const folder = await mkdtemp(path.join(parent, `${PREFIX}${process.pid}-`))
  ours.add(folder)
  let files = 0
  const spool: Spool = {
    folder,
    newPath: () => path.join(folder, String((files += 1))),
    write: async (chunks) => {
      const file = spool.newPath()
      try {
        await writeNew(file, chunks)
      } catch (error) {
        await spool.remove(file)
        throw error
      }
      return file
    },
    take: async (file, argv) => {
      try {
        const { size } = await stat(file)
        if (size > MAX_OUTPUT) throw new CommandError(argv, { kind: 'output too long', limit: MAX_OUTPUT }, '')
        return await readFile(file, 'utf8')
      } finally {
        await spool.remove(file)
      }
    },
    remove: (file) => rm(file, { force: true }),
    close: async () => {
      await rm(folder, { recursive: true, force: true })
      ours.delete(folder)
    },
  }
  return spool
}

/** UTF-8 in pieces, so that a payload of 18 MB does not lie in memory twice. */
export function* chunksOf(text: string): Generator<Uint8Array> {
  let from = 0
  while (from < text.length) {
    let to = Math.min(from + CHUNK, text.length)
    // Not between the two halves of a character beyond 16 bits.
    if (to < text.length && (text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to -= 1
    yield Buffer.from(text.slice(from, to))
    from = to
  }
}

async function writeNew(file: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    // writeFile goes on where the last one ended, and writes all of its chunk.
    for (const chunk of chunks) await handle.writeFile(chunk)
  } finally {
    await handle.close()
  }
}

/** The name of a folder tells its process: if that lives no longer, or is this one, which knows its own, it is left over. */
async function removeLeftovers(parent: string): Promise<void> {
  const names = await readdir(parent)
  for (const name of names.filter((each) => each.startsWith(PREFIX))) {
    const folder = path.join(parent, name)
    const owner = Number.parseInt(name.slice(PREFIX.length), 10)
    if (ours.has(folder) || (owner !== process.pid && isAlive(owner))) continue
    // It may belong to another user, and need not be ours to remove.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}
