// When the kernel takes new rules, told by the kernel: iptables-nft's are announced by netlink, and iptables-legacy's
// show in the number of rules, which has to be asked for.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { IptablesVariant } from '../../src/sync/variant.ts'
import { monotonicMs } from './clock.ts'

export interface KernelCommits {
  /** When each was seen; see monotonicMs. */
  readonly times: readonly number[]
  stop(): Promise<void>
}

/** Not the first on PATH, which may be a version switcher that starts slowly. */
const PYTHON = '/usr/bin/python3'

/** Of this process's network namespace. Resolves when it sees. */
export async function watchCommits(variant: IptablesVariant): Promise<KernelCommits> {
  const times: number[] = []
  const script = fileURLToPath(new URL(`./${variant}-commits.py`, import.meta.url))
  const child = spawn(PYTHON, ['-u', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ready = Promise.withResolvers<void>()
  child.on('error', ready.reject)
  child.on('exit', () => ready.reject(new Error(`${script} ended`)))
  createInterface(child.stdout).on('line', (line) => {
    if (line === 'ready') ready.resolve()
    else times.push(monotonicMs())
  })
  await ready.promise
  return {
    times,
    stop: async () => {
      child.kill()
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}
