// A private network namespace that lives as long as a process in it: tests enter it by that process.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

export interface NetworkNamespace {
  /** To be put before a command that is to run in it. */
  readonly prefix: readonly string[]
  readonly run: (argv: readonly string[], input?: string, env?: NodeJS.ProcessEnv) => RunResult
  readonly close: () => Promise<void>
}

export interface RunResult {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Throws when namespaces can't be had. */
export async function createNetworkNamespace(): Promise<NetworkNamespace> {
  const holder = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec sleep 1000000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await ready(holder)
  const prefix = ['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--']
  return {
    prefix,
    run: (argv, input = '', env = process.env) => {
      const [program = '', ...args] = [...prefix, ...argv]
      return spawnSync(program, args, { input, encoding: 'utf8', env, maxBuffer: 1e9 })
    },
    close: async () => {
      const ended = once(holder, 'exit')
      holder.kill('SIGKILL')
      await ended
    },
  }
}

async function ready(holder: ChildProcess): Promise<void> {
  const [event] = await Promise.race([
    once(holder.stdout ?? holder, 'data').then(() => ['ready']),
    once(holder, 'exit').then(() => ['exit']),
    once(holder, 'error').then(() => ['error']),
  ])
  if (event !== 'ready') throw new Error('unshare -n does not run: this needs root')
}
