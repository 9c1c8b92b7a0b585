// `sluice run` as users start it: the compiled program, its log, and what it costs.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { IptablesVariant } from '../../src/sync/variant.ts'
import { monotonicMs } from './clock.ts'

export interface LogLine {
  /** See monotonicMs. */
  readonly at: number
  readonly fields: Readonly<Record<string, unknown>>
  readonly text: string
}

export interface Usage {
  /** CPU seconds of the process that watches and compiles. */
  readonly mainCpu: number
  /** CPU seconds of the helper and of the tools that it started. */
  readonly childCpu: number
  /** Mebibytes resident, now and at most. */
  readonly mainMiB: number
  readonly mainPeakMiB: number
  readonly helperMiB: number
  readonly helperPeakMiB: number
}

export interface NodeAgent {
  readonly started: number
  readonly pid: number
  readonly lines: readonly LogLine[]
  /** The first line, after the one of that index, that says so; rejects when the agent ends or takes too long. */
  waitFor(what: (line: LogLine) => boolean, after?: number): Promise<LogLine>
  usage(): Usage
  /** Ends it with SIGTERM; its exit code. */
  stop(): Promise<number | null>
}

export interface AgentOptions {
  readonly server: string
  readonly variant: IptablesVariant
  readonly env?: NodeJS.ProcessEnv
  readonly flags?: readonly string[]
  /** kube-proxy's, which takes 0s for its default of 1s; 1ms when absent. */
  readonly minSyncPeriod?: string
}

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const WAIT_MS = 600_000
const TICKS_A_SECOND = 100

export function startNodeAgent(options: AgentOptions): NodeAgent {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-agent-'))
  const started = monotonicMs()
  const child = spawnAgent(folder, options)
  const { pid } = child
  if (pid === undefined) throw new Error('sluice did not start')
  // A measurement that fails leaves nothing behind.
  const endWithUs = () => child.kill('SIGKILL')
  process.once('exit', endWithUs)
  const log: Log = { lines: [], listeners: new Set(), hasEnded: false }
  const tell = () => {
    for (const listener of log.listeners) listener()
  }
  const exit = once(child, 'exit').then(([code]) => {
    log.hasEnded = true
    process.off('exit', endWithUs)
    rmSync(folder, { recursive: true, force: true })
    tell()
    return code as number | null
  })
  createInterface(child.stderr).on('line', (text) => {
    log.lines.push({ at: monotonicMs(), fields: fieldsOf(text), text })
    tell()
  })
  return {
    started,
    pid,
    lines: log.lines,
    waitFor: (what, after = 0) => waitForLine(log, what, after),
    usage: () => readUsage(pid),
    stop: async () => {
      if (!log.hasEnded) child.kill('SIGTERM')
      return exit
    },
  }
}

function spawnAgent(folder: string, { server, variant, env, flags = [], minSyncPeriod = '1ms' }: AgentOptions) {
  const config = path.join(folder, 'config.yaml')
  writeFileSync(path.join(folder, 'kubeconfig'), kubeconfig(server))
  writeFileSync(config, configuration(path.join(folder, 'kubeconfig'), minSyncPeriod))
  const always = ['--config', config, '--hostname-override', 'node1', '--iptables-variant', variant]
  return spawn(process.execPath, [MAIN, 'run', ...always, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: env ?? process.env,
  })
}

interface Log {
  readonly lines: LogLine[]
  /** Called after each line, and when the agent has ended. */
  readonly listeners: Set<() => void>
  hasEnded: boolean
}

function waitForLine(log: Log, what: (line: LogLine) => boolean, after: number): Promise<LogLine> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      log.listeners.delete(look)
    }
    const fail = (why: string) => {
      done()
      const end = log.lines.slice(-5).map(({ text }) => text)
      reject(new Error(`${why}; the log ends with:\n${end.join('\n')}`))
    }
    const look = () => {
      const found = log.lines.slice(after).find(what)
      if (found !== undefined) {
        done()
        resolve(found)
      } else if (log.hasEnded) fail('sluice ended')
    }
    const timer = setTimeout(() => fail('sluice took too long'), WAIT_MS)
    log.listeners.add(look)
    look()
  })
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}

/** Of a process that starts one helper. */
export function readUsage(main: number): Usage {
  const helper = childrenOf(main)[0]
  const own = processTimes(main)
  const helping = helper === undefined ? { own: 0, children: 0 } : processTimes(helper)
  const memory = memoryOf(main)
  const helperMemory = helper === undefined ? { now: 0, peak: 0 } : memoryOf(helper)
  return {
    mainCpu: own.own,
    childCpu: helping.own + helping.children + own.children,
    mainMiB: memory.now,
    mainPeakMiB: memory.peak,
    helperMiB: helperMemory.now,
    helperPeakMiB: helperMemory.peak,
  }
}

export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return Number(statusOf(Number(name)).get('PPid')) === pid
      } catch {
        return false
      }
    })
    .map(Number)
}

function processTimes(pid: number): { readonly own: number; readonly children: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // After the name, which may hold anything: state is field 3, utime field 14.
  const values = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const seconds = (field: number) => Number(values[field - 3]) / TICKS_A_SECOND
  return { own: seconds(14) + seconds(15), children: seconds(16) + seconds(17) }
}

function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = statusOf(pid)
  const mebibytes = (name: string) => Number.parseInt(status.get(name) ?? '0', 10) / 1024
  return { now: mebibytes('VmRSS'), peak: mebibytes('VmHWM') }
}

function statusOf(pid: number): ReadonlyMap<string, string> {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return new Map(text.split('\n').map((line) => line.split(':\t', 2) as [string, string]))
}

function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'double', cluster: { server } }],
    users: [{ name: 'double', user: {} }],
    contexts: [{ name: 'double', context: { cluster: 'double', user: 'double' } }],
    'current-context': 'double',
  })
}

/** Without a minSyncPeriod the first and every later change go out at once. */
function configuration(kubeconfigPath: string, minSyncPeriod: string): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clusterCIDR: '10.128.0.0/9',
    clientConnection: { kubeconfig: kubeconfigPath },
    // Its limits are of the whole machine, not of a network namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    iptables: { minSyncPeriod, syncPeriod: '30s' },
    logging: { format: 'json' },
  })
}
