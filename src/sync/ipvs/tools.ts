// ipvsadm and ipset as IPVS mode uses them: few processes, whatever there is to read or write. How they fail (ipvsadm 1.31,
// ipset 7.17): `ipvsadm -R` goes on after a line that the kernel refuses, says why without naming the line, and exits with
// the status of its last line, so that any word on standard error counts; it ends at a line that it can't read. `ipset
// restore` ends at the first bad line and names it; what stood before it is done when it was the kernel that refused.
import type { Hands } from '../../host/hands.ts'
import type { SetName } from '../../ipset/ip-set.ts'
import { parseIpsetSave, type SavedSet } from '../../ipset/parse.ts'
import { type ConnectionCounts, readConnectionCounts } from '../../ipvs/connections.ts'
import { parseIpvsadmSave, type SavedService } from '../../ipvs/parse.ts'
import { nameVirtualServer } from '../../ipvs/print.ts'
import type { VirtualServer } from '../../ipvs/virtual-server.ts'
import { isCommandError } from '../restore-failure.ts'

export interface IpvsTools {
  readonly readSets: () => Promise<ReadonlyMap<SetName, SavedSet>>
  /** Name, type and number of entries of each set: quick, however many entries there are. */
  readonly readSetSizes: () => Promise<ReadonlyMap<SetName, number>>
  readonly readServers: () => Promise<readonly SavedService[]>
  /** One virtual server; empty when it is not there. */
  readonly readServer: (server: VirtualServer) => Promise<ConnectionCounts>
  readonly readConnections: () => Promise<ConnectionCounts>
  readonly restoreSets: (lines: readonly string[]) => Promise<SetRefusal | undefined>
  readonly restoreServers: (lines: readonly string[]) => Promise<Error | undefined>
}

export interface SetRefusal {
  readonly error: Error
  /** Index of the refused line; absent when the tool named none. */
  readonly index?: number
}

/** What ipvsadm said of lines that it did not take, or of a question. */
export class BatchError extends Error {
  override readonly name = 'BatchError'
}

const READ_TIMEOUT_MS = 120_000

export interface IpvsToolsOptions {
  readonly hands: Pick<Hands, 'run'>
  /** Milliseconds for a batch of so many lines. */
  readonly restoreMs: (lines: number) => number
  /** A tool did not take a batch as a whole, or did not end by itself. */
  readonly onFailed: (error: Error, lines: readonly string[]) => void
}

/** What is not a refusal rejects, and nothing is known then. */
export function createIpvsTools({ hands, restoreMs, onFailed }: IpvsToolsOptions): IpvsTools {
  const ask = (argv: readonly [string, ...string[]], accept?: readonly number[]) =>
    hands.run({ argv, timeoutMs: READ_TIMEOUT_MS, ...(accept && { accept }) })
  /** Returns a refusal. */
  const feed = async (argv: readonly [string, ...string[]], lines: readonly string[]) => {
    const stdin = `${lines.join('\n')}\n`
    try {
      const { stderr } = await hands.run({ argv, stdin, timeoutMs: restoreMs(lines.length) })
      return { stderr }
    } catch (error) {
      if (!isCommandError(error)) throw error
      onFailed(error, lines)
      if (error.failure.kind !== 'exit') throw error
      return { stderr: error.stderr, error }
    }
  }
  return {
    readSets: async () => {
      // A line that can't be read is somebody else's: those of ours have one form.
      const { stdout } = await ask(['ipset', 'save'])
      return parseIpsetSave(stdout).sets
    },
    readSetSizes: async () => readSizes((await ask(['ipset', 'list', '-t'])).stdout),
    readServers: async () => {
      const { stdout } = await ask(['ipvsadm', '-Sn'])
      return parseIpvsadmSave(stdout).services
    },
    readServer: async (server) => {
      const argv = ['ipvsadm', '-Ln', ...nameVirtualServer(server).split(' ')] as const
      const { stdout, stderr, exitCode } = await ask(argv, [0, NOT_THERE])
      if (exitCode !== 0 && !stderr.includes('No such service'))
        throw new BatchError(`${argv.join(' ')}: ${stderr.trim()}`)
      return readConnectionCounts(stdout)
    },
    readConnections: async () => readConnectionCounts((await ask(['ipvsadm', '-Ln'])).stdout),
    restoreSets: async (lines) => {
      if (lines.length === 0) return undefined
      const { error, stderr } = await feed(['ipset', 'restore'], lines)
      if (error === undefined) return undefined
      const [, line] = /Error in line (\d+)/.exec(stderr) ?? []
      return { error, ...(line !== undefined && { index: Number(line) - 1 }) }
    },
    restoreServers: async (lines) => {
      if (lines.length === 0) return undefined
      const { error, stderr } = await feed(['ipvsadm', '-R'], lines)
      if (error !== undefined || stderr.trim() === '') return error
      const said = new BatchError(`ipvsadm -R: ${stderr.trim().split('\n', 1)[0]}`)
      onFailed(said, lines)
      return said
    },
  }
}

/** The exit status of `ipvsadm -Ln -t` for a virtual server that is not there. */
const NOT_THERE = 1

function readSizes(text: string): ReadonlyMap<SetName, number> {
  const sizes = new Map<SetName, number>()
  let name = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('Name: ')) name = line.slice('Name: '.length)
    const [, size] = /^Number of entries: (\d+)$/.exec(line) ?? []
    if (size !== undefined) sizes.set(name, Number(size))
  }
  return sizes
}
