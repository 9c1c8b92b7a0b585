// `sluice run` in the network namespace of a node, from a folder of manifests, as a process that a test can kill.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { Family } from '../../src/index.ts'
import { toolsOf } from '../../src/sync/variant.ts'
import type { Namespace } from './agent.ts'
import { eventually } from './eventually.ts'
import type { LabMode } from './laboratory.ts'

const ROOT = path.join(import.meta.dirname, '../..')

export type Variant = 'nft' | 'legacy'

/** Bundles sluice as containers get it, because the sources take a second of a processor to start. Returns its path. */
export async function bundleSluice(folder: string): Promise<string> {
  await cp(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'))
  await promisify(execFile)(path.join(ROOT, 'scripts/bundle'), [path.join(folder, 'dist')])
  return path.join(folder, 'dist', 'sluice.bundle.mjs')
}

/** One line of the agent's log. */
export type LogLine = Readonly<Record<string, unknown>>

export interface NodeAgentOptions {
  readonly node: Namespace
  /** What the node is called in the manifests. */
  readonly name: string
  readonly variant: Variant
  /** Of the agent alone: its configuration goes there. */
  readonly folder: string
  /** A folder of them; or a kubeconfig file, of an API server. */
  readonly manifests: string | { readonly kubeconfig: string }
  readonly clusterCIDR: string
  /** iptables when absent. */
  readonly mode?: LabMode
  /** sluice. */
  readonly program: string
}

export interface NodeAgent {
  /** Resolves when both families are synced for the first time. */
  start(): Promise<void>
  /** kill -9. */
  kill(): Promise<void>
  /** SIGTERM. */
  stop(): Promise<void>
  isRunning(): boolean
  /** What the agent wrote since its last start. */
  log(): readonly LogLine[]
  /** Runs one of the variant's programs, under the agent's lock. */
  iptables(family: Family, tool: 'run' | 'save' | 'restore', args: readonly string[], stdin?: string): Promise<string>
}

export function createNodeAgent(options: NodeAgentOptions): NodeAgent {
  const { node, name, variant, folder, manifests, program } = options
  const config = path.join(folder, `${name}.yaml`)
  const env = { ...process.env, XTABLES_LOCKFILE: path.join(folder, `${name}.lock`) }
  let child: ChildProcess | undefined
  let lines: LogLine[] = []
  let said = ''

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = once(ending, 'exit')
    ending.kill(signal)
    await ended
  }

  return {
    start: async () => {
      await writeFile(config, JSON.stringify(configOf(options)))
      const inside = ['--net', '--target', String(node.pid)]
      const from = typeof manifests === 'string' ? ['--filename', manifests] : []
      const run = ['run', ...from, '--config', config, '--iptables-variant', variant]
      // nsenter becomes the agent: its process is the one to kill.
      child = spawn('nsenter', [...inside, process.execPath, program, ...run], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env,
      })
      lines = []
      said = ''
      const mine = lines
      if (child.stderr !== null) {
        createInterface(child.stderr).on('line', (line) => {
          said += `${line}\n`
          if (line.startsWith('{')) mine.push(JSON.parse(line) as LogLine)
        })
      }
      const started = child
      await eventually(
        () => {
          if (started.exitCode !== null) throw new Error(`${name}: the agent ended`)
          const families = new Set(mine.filter(isSync).map((line) => line['family']))
          if (families.size < 2) throw new Error(`${name}: not synced`)
        },
        { withinMs: 600_000 },
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${said}`, { cause: error })
      })
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    isRunning: () => child !== undefined && child.exitCode === null && child.signalCode === null,
    log: () => lines,
    iptables: async (family, tool, args, stdin) => {
      const lock = `XTABLES_LOCKFILE=${env.XTABLES_LOCKFILE}`
      const { stdout } = await node.exec(['env', lock, toolsOf(variant, family)[tool], ...args], stdin)
      return stdout
    },
  }
}

/** Written for each sync, whether it found anything to do or not. */
export function isSync({ msg }: LogLine): boolean {
  return msg === 'synced rules' || msg === 'rules are as they should be'
}

function configOf({ name, clusterCIDR, manifests, mode = 'iptables' }: NodeAgentOptions): unknown {
  return {
    ...(typeof manifests === 'object' && { clientConnection: manifests }),
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode,
    hostnameOverride: name,
    clusterCIDR,
    // Only the machine's first namespace may size the connection table.
    conntrack: { maxPerCore: 0 },
    logging: { format: 'json', verbosity: 2 },
  }
}
