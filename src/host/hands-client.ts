// Starts the helper process, hands requests to it, and starts it again when it dies: at once the first time, then with
// growing pauses until a helper lived for a while. A request is sent once: what a dead helper was asked is refused with
// HandsGone, and what comes while there is none waits for the next.
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandResult } from './exec.ts'
import { packFlows, unpackFlows } from './flow-records.ts'
import { type Hands, type HandsCommand, HandsGone } from './hands.ts'
import { type HandsProcess, startHandsProcess } from './hands-process.ts'
import { type HandsCalls, INLINE_LIMIT, type RunRequest } from './hands-protocol.ts'
import { chunksOf, openSpool, type Spool } from './spool.ts'

export interface HandsOptions {
  /** Where the private folder for large input and output is made; the system's temporary folder when absent. */
  readonly folder?: string
  /** Words before the helper's own command line, such as `ip netns exec node1`: the tools then run there too. */
  readonly inside?: readonly string[]
  /** Told of each end of a helper that was not asked for, with the milliseconds until the next is started. */
  readonly onRestart?: (gone: HandsGone, pauseMs: number) => void
}

export interface SupervisedHands extends Hands {
  /** The helper that runs now. */
  readonly pid: number | undefined
}

const NETLINK_LIMIT_MS = 30_000
/** 10,000 addresses take 1 to 6 s in a slow kernel. */
const ADDRESSES_LIMIT_MS = 120_000
/** What the helper may take beyond a tool's own limit: to end it, and to answer. */
const GRACE_MS = 5_000
const LONGEST_PAUSE_MS = 5_000
const FIRST_PAUSE_MS = 100
/** Milliseconds of life after which a death counts as the first. */
const LONG_LIFE_MS = 30_000

/** Throws when the private folder can't be made. */
export async function startHands(options: HandsOptions = {}): Promise<SupervisedHands> {
  const spool = await openSpool(options.folder ?? tmpdir())
  const listeners: (() => void)[] = []
  const supervisor = superviseHands(spool, options, () => {
    for (const listener of listeners) listener()
  })
  const call: Call = async (kind, request, limitMs = NETLINK_LIMIT_MS) =>
    (await supervisor.current()).call(kind, request, limitMs)
  return {
    get pid() {
      return supervisor.pid()
    },
    run: (command) => run(command, spool, call),
    listAddresses: () => call('listAddresses', undefined),
    listDeviceAddresses: (device) => call('listDeviceAddresses', device),
    changeDeviceAddresses: (device, change) => call('changeDeviceAddresses', { device, change }, ADDRESSES_LIMIT_MS),
    deleteDevice: (device) => call('deleteDevice', device, ADDRESSES_LIMIT_MS),
    dumpConntrack: async (family) => unpackFlows(family, await call('dumpConntrack', family)),
    deleteConntrack: async (family, flows) =>
      flows.length === 0 ? 0 : await call('deleteConntrack', { family, records: packFlows(family, flows) }),
    ensureCounters: (names) => call('ensureCounters', names),
    readCounters: (names) => call('readCounters', names),
    readGeneration: () => call('readGeneration', undefined),
    fingerprintChains: (family) => call('fingerprintChains', family),
    onAddressChange: (listener) => void listeners.push(listener),
    close: async () => {
      await supervisor.close()
      await spool.close()
    },
  }
}

type Call = <Kind extends keyof HandsCalls>(
  kind: Kind,
  request: HandsCalls[Kind]['request'],
  limitMs?: number,
) => Promise<HandsCalls[Kind]['answer']>

async function run(command: HandsCommand, spool: Spool, call: Call): Promise<CommandResult> {
  const { argv, timeoutMs, accept, stdin } = command
  const input = stdin === undefined ? undefined : await giveInput(stdin, spool)
  const output: RunRequest['output'] = command.discardOutput === true ? 'discard' : { path: spool.newPath() }
  const created: string[] = typeof input === 'object' && 'path' in input ? [input.path] : []
  try {
    const request = { argv, timeoutMs, output, ...(accept && { accept }), ...(input !== undefined && { stdin: input }) }
    const answer = await call('run', request, timeoutMs + GRACE_MS)
    const { stdout, stderr, exitCode } = answer
    return { stdout: typeof stdout === 'string' ? stdout : await spool.take(stdout.path, argv), stderr, exitCode }
  } catch (error) {
    if (output !== 'discard') created.push(output.path)
    throw error
  } finally {
    for (const file of created) await spool.remove(file)
  }
}

async function giveInput(
  stdin: string | readonly Uint8Array[],
  spool: Spool,
): Promise<string | Uint8Array | { readonly path: string }> {
  if (typeof stdin === 'string') {
    // A character is 3 bytes at most, as two of them make 4.
    return stdin.length * 3 <= INLINE_LIMIT ? stdin : { path: await spool.write(chunksOf(stdin)) }
  }
  const length = stdin.reduce((sum, chunk) => sum + chunk.length, 0)
  return length <= INLINE_LIMIT ? Buffer.concat(stdin) : { path: await spool.write(stdin) }
}

interface Supervisor {
  /** The helper to ask, once there is one; rejects with HandsGone after `close`. */
  current(): Promise<HandsProcess>
  pid(): number | undefined
  close(): Promise<void>
}

function superviseHands(spool: Spool, options: HandsOptions, onAddressChange: () => void): Supervisor {
  const closing = new AbortController()
  const closed = new HandsGone('the helper process was ended')
  const { inside = [] } = options
  const start = () => startHandsProcess({ folder: spool.folder, inside, onAddressChange })
  let running: HandsProcess | undefined = start()
  let current = Promise.resolve(running)

  const supervise = async (): Promise<void> => {
    let pauseMs = 0
    while (running !== undefined) {
      const started = performance.now()
      const gone = await running.gone
      if (closing.signal.aborted) return
      if (performance.now() - started > LONG_LIFE_MS) pauseMs = 0
      const next = Promise.withResolvers<HandsProcess>()
      next.promise.catch(() => undefined)
      current = next.promise
      running = undefined
      options.onRestart?.(gone, pauseMs)
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined)
      if (closing.signal.aborted) {
        next.reject(closed)
        return
      }
      pauseMs = Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
      running = start()
      next.resolve(running)
      // Addresses may have changed while nobody listened.
      onAddressChange()
    }
  }
  const supervision = supervise()

  return {
    current: () => (closing.signal.aborted ? Promise.reject(closed) : current),
    pid: () => running?.pid,
    close: async () => {
      closing.abort()
      await running?.end('was ended')
      await supervision
    },
  }
}
