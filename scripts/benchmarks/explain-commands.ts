// What whole commands that look at rules cost: diff, explain and verify, on a cluster and the dump of its node. Each run
// is a process of its own, from its start to the end of the command.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable, Writable } from 'node:stream'
import { run } from '../../src/cli/command-line.ts'
import { generateList } from './cluster.ts'
import { inOwnProcess, median, peakMemory } from './measure.ts'

const RUNS = 3
const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node0' },
  status: { addresses: [{ type: 'InternalIP', address: '192.168.1.10' }] },
}

export interface CommandFigures {
  readonly services: number
  readonly command: string
  readonly wallMs: number
  /** Time of processors, which others on the machine lengthen less. */
  readonly cpuMs: number
  readonly peakMiB: number
}

type Measured = Pick<CommandFigures, 'wallMs' | 'cpuMs' | 'peakMiB'>

/** Of each command, on that many Services. The calling script must pass `command` and its words to measureCommand. */
export function measureCommands(services: number): readonly CommandFigures[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-bench-'))
  try {
    const cluster = path.join(folder, 'cluster.json')
    const dump = path.join(folder, 'dump')
    const list = generateList(services)
    writeFileSync(cluster, JSON.stringify({ ...list, items: [NODE, ...list.items] }))
    const objects = ['-f', cluster, '--node', 'node0']
    inOwnProcess('command', 'render', ...objects, '--out', dump)
    const commands: readonly (readonly [string, readonly string[]])[] = [
      ['diff of two dumps', ['diff', dump, dump]],
      ['explain -A', ['explain', '-A', ...objects]],
      ['explain -A --dump', ['explain', '-A', ...objects, '--dump', dump]],
      ['verify', ['verify', ...objects, '--dump', dump]],
    ]
    return commands.map(([command, words]) => ({ services, command, ...medianOf(words) }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function medianOf(words: readonly string[]): Measured {
  const runs = Array.from({ length: RUNS }, () => inOwnProcess('command', ...words) as Measured)
  return {
    wallMs: median(runs.map(({ wallMs }) => wallMs)),
    cpuMs: median(runs.map(({ cpuMs }) => cpuMs)),
    peakMiB: median(runs.map(({ peakMiB }) => peakMiB)),
  }
}

/** Runs the command in this process. @throws Error when it fails. */
export async function measureCommand(words: readonly string[]): Promise<Measured> {
  const errors: string[] = []
  const code = await run(words, '0', {
    stdin: Readable.from([]),
    stdout: sink(() => {}),
    stderr: sink((text) => errors.push(text)),
  })
  if (code !== 0) throw new Error(`sluice ${words.join(' ')} ended with ${code}: ${errors.join('')}`)
  const { user, system } = process.cpuUsage()
  return { wallMs: performance.now(), cpuMs: (user + system) / 1000, peakMiB: peakMemory() }
}

function sink(write: (text: string) => void) {
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      write(chunk.toString())
      done()
    },
  })
  return Object.assign(stream, { isTTY: false, columns: 80 })
}
