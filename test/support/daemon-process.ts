// One `sluice run` process of a test: what it says, how it ends, and its helper.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface DaemonEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface DaemonProcess {
  readonly pid: number
  readonly ended: Promise<DaemonEnd>
  readonly isEnded: () => boolean
  readonly stdout: () => string
  /** What it has logged so far. */
  readonly log: () => string
  /** Resolves when the log matches; rejects when the process ends without. */
  readonly logged: (pattern: RegExp) => Promise<void>
  readonly signal: (name: NodeJS.Signals) => void
  /** Its helper process; undefined while there is none. */
  readonly helper: () => number | undefined
  /** Ends it, however it behaves. */
  readonly end: () => Promise<DaemonEnd>
}

const END_WITHIN_MS = 30_000

export function startDaemon(argv: readonly string[], env: NodeJS.ProcessEnv): DaemonProcess {
  const [program = '', ...args] = argv
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const pid = child.pid ?? 0
  let stdout = ''
  let stderr = ''
  let isEnded = false
  const waiting = new Set<() => void>()
  const look = () => {
    for (const each of waiting) each()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    look()
  })
  const ended = new Promise<DaemonEnd>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      isEnded = true
      look()
      resolve({ code, signal, stdout, stderr })
    })
  })
  return {
    pid,
    ended,
    isEnded: () => isEnded,
    stdout: () => stdout,
    log: () => stderr,
    logged: (pattern) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (!pattern.test(stderr) && !isEnded) return
          waiting.delete(check)
          if (pattern.test(stderr)) resolve()
          else reject(new Error(`sluice run ended without saying ${pattern}:\n${stderr}`))
        }
        waiting.add(check)
        check()
      }),
    signal: (name) => void child.kill(name),
    helper: () => childrenOf(pid)[0],
    end: async () => {
      if (!isEnded) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
      const end = await ended
      clearTimeout(timer)
      return end
    },
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
