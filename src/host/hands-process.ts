// One life of the helper process: started, asked, gone. hands-client.ts starts the next one.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CommandError } from './exec.ts'
import { HandsGone, NetlinkError } from './hands.ts'
import type { HandsCalls, HandsFailure, HandsMessage } from './hands-protocol.ts'
import { endProcessGroup } from './process-group.ts'

export interface HandsProcess {
  readonly pid: number | undefined
  /** Rejects with what the helper reports, or with HandsGone. After `limitMs` without an answer the helper is ended. */
  call<Kind extends keyof HandsCalls>(
    kind: Kind,
    request: HandsCalls[Kind]['request'],
    limitMs: number,
  ): Promise<HandsCalls[Kind]['answer']>
  /** Ends the helper and its tools; settles when they are gone. */
  end(why: string): Promise<void>
  /** Settles when the helper and its tools are gone, for whatever reason. */
  readonly gone: Promise<HandsGone>
}

export interface ProcessOptions {
  /** The folder of the spool: the helper removes it when this process is gone. */
  readonly folder: string
  /** Words before the helper's own command line, such as `ip netns exec node1`. */
  readonly inside: readonly string[]
  readonly onAddressChange: () => void
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/**
 * Without the optimizing compilers the helper takes 54 MB instead of 58, and 60 instead of 70 after a dump of 10,000
 * entries;
 * it has little to compute.
 */
const NODE_OPTIONS = [
  '--no-opt',
  '--no-maglev',
  '--max-semi-space-size=1',
  '--max-old-space-size=64',
  '--disable-warning=ExperimentalWarning',
]
const KEPT_COMPLAINT = 2_000

export function startHandsProcess(options: ProcessOptions): HandsProcess {
  const [program, ...args] = [...options.inside, process.execPath, ...NODE_OPTIONS, entry(), options.folder]
  const child = spawn(program ?? process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    // Leader of its own group, and out of reach of the terminal's Ctrl-C: this process decides when it ends.
    detached: true,
  })
  const pending = new Map<number, Pending>()
  let calls = 0
  let complaint = ''
  let why: string | undefined
  let finished: HandsGone | undefined

  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-KEPT_COMPLAINT)
  })
  child.on('message', (message) => receive(message as HandsMessage, pending, options.onAddressChange))
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => child.pid === undefined && resolve(`could not be started (${error.message})`))
    child.on('close', (code, signal) => resolve(`ended (${signal ?? `exit code ${code}`})`))
  })
  const gone = ended.then(async (how) => {
    if (child.pid !== undefined) await endProcessGroup(child.pid)
    const said = complaint.trim()
    const error = new HandsGone(`the helper process ${why ?? how}${said === '' ? '' : `; it said: ${said}`}`)
    finished = error
    for (const { reject, timer } of pending.values()) {
      clearTimeout(timer)
      reject(error)
    }
    pending.clear()
    return error
  })

  const end = async (reason: string): Promise<void> => {
    why ??= reason
    if (child.pid !== undefined) await endProcessGroup(child.pid)
    await gone
  }
  return {
    pid: child.pid,
    gone,
    end,
    call: (kind, request, limitMs) =>
      new Promise((resolve, reject) => {
        if (finished !== undefined) {
          reject(finished)
          return
        }
        const id = (calls += 1)
        const timer = setTimeout(() => void end(`did not answer ${kind} within ${limitMs} ms`), limitMs)
        // The helper answers a call of a kind with that kind's answer: src/hands/main.ts is checked to do so.
        pending.set(id, { resolve: (value) => resolve(value as never), reject, timer })
        // A failure to send is the end of the helper, which `gone` reports.
        child.send({ id, kind, request }, () => undefined)
      }),
  }
}

function receive(message: HandsMessage, pending: Map<number, Pending>, onAddressChange: () => void): void {
  if (message.kind === 'addresses changed') {
    onAddressChange()
    return
  }
  const call = pending.get(message.id)
  if (call === undefined) return
  pending.delete(message.id)
  clearTimeout(call.timer)
  if (message.kind === 'answer') call.resolve(message.value)
  else call.reject(errorOf(message.failure))
}

function errorOf(failure: HandsFailure): Error {
  switch (failure.kind) {
    case 'command':
      return new CommandError(failure.argv, failure.failure, failure.stderr)
    case 'netlink':
      return new NetlinkError(failure.code, failure.message)
    case 'other':
      return new Error(`the helper process: ${failure.message}`)
    default:
      return failure satisfies never
  }
}

/** The compiled helper beside compiled code, the sources beside sources. */
function entry(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return fileURLToPath(new URL(`../hands/main.${extension}`, import.meta.url))
}
