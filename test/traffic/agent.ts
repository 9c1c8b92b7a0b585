// A network namespace with a process in it that serves and connects (agent.py). When the process ends, and it ends with
// the test run however that ends, the kernel removes the namespace and all that is in it.
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'

const AGENT = path.join(import.meta.dirname, 'agent.py')
/** Not the first `python3` on PATH, which may be a version switcher that takes longer than the agent. */
const PYTHON = '/usr/bin/python3'

export type Transport = 'tcp' | 'udp' | 'sctp'

/** What became of a question to a server. */
export type Outcome =
  | {
      readonly kind: 'answer'
      readonly server: string
      readonly client: string
      readonly clientPort: number
      /** How many of the bytes of `Question.echo` came back as they were sent. */
      readonly echoed?: number
    }
  /** Nothing came back. */
  | { readonly kind: 'timeout' }
  /** A TCP reset, or an ICMP message that nobody is there. */
  | { readonly kind: 'refused' }
  /** The other end closed the connection instead of answering. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'error'; readonly code: string }

export interface Question {
  readonly protocol?: Transport
  readonly to: string
  readonly port: number
  readonly source?: string
  readonly sourcePort?: number
  /** So many random bytes that the server must send back; for `connect` alone. */
  readonly echo?: number
  /** ANSWER_MS when absent. Shorter only where silence is expected. */
  readonly timeoutMs?: number
  /** TCP: ends with a reset, so that this end remembers nothing of it. */
  readonly resets?: boolean
}

/** A connection that stays. */
export interface Stream {
  ask(timeoutMs?: number): Promise<Outcome>
  /** Says that nothing more will be asked, and stays open for answers. */
  halfClose(): Promise<void>
  close(): Promise<void>
}

/** A client that asks again and again. Outcomes are counted by the server's name, or by what went wrong. */
export interface Run {
  /** What was counted since the last time. */
  read(): Promise<Counts>
  end(): Promise<Counts>
}

export type Counts = Readonly<Record<string, number>>

export interface RunQuestion extends Question {
  readonly everyMs: number
  /** Always from the same socket; otherwise each time from a new one. */
  readonly keep: boolean
  /** One after the other, and again. */
  readonly sourcePorts?: readonly number[]
}

export interface ExecResult {
  readonly stdout: string
  readonly stderr: string
}

export interface Program {
  readonly argv: readonly [string, ...string[]]
  readonly stdin: string
  /** A complaint that is as expected, whatever the exit status. */
  readonly says?: string
}

export interface Namespace {
  readonly name: string
  /** Of the process that holds the namespace: `nsenter --net --target PID`. */
  readonly pid: number
  /** Runs a program in the namespace. Rejects when it fails, with what it said. */
  exec(argv: readonly [string, ...string[]], stdin?: string): Promise<ExecResult>
  /** Runs programs, one after the other; for where starting one is dear. Rejects when one fails or complains. */
  runPrograms(programs: readonly Program[]): Promise<void>
  /** Serves on all addresses of both families, until `unlisten`. */
  listen(port: number, protocol?: Transport): Promise<void>
  unlisten(port: number, protocol?: Transport): Promise<void>
  connect(question: Question): Promise<Outcome>
  /** Rejects when it can't be connected. */
  open(question: Question): Promise<Stream>
  askOften(question: RunQuestion): Promise<Run>
  close(): Promise<void>
}

/**
 * For what is answered in a millisecond: a machine that is shared may stop for seconds, and a neighbour that must be
 * looked for again takes three. Nothing is asked twice, so the time hides no more than TCP's own second SYN does.
 */
const ANSWER_MS = 20_000
/** Longer than a program waits for the lock of iptables. */
const EXEC_TIMEOUT_MS = 300_000

export async function createNamespace(name: string): Promise<Namespace> {
  const child = spawn('unshare', ['--net', PYTHON, '-u', AGENT, name], { stdio: 'pipe' })
  const ask = await converse(child, name)
  const pid = child.pid
  if (pid === undefined) throw new Error(`${name}: unshare did not start`)
  const exec: Namespace['exec'] = (argv, stdin) => execIn(pid, argv, stdin)
  let streams = 0
  let runs = 0
  return {
    name,
    pid,
    exec,
    runPrograms: async (programs) => {
      await ask({ do: 'runPrograms', programs: programs.map((program) => ({ says: '', ...program })) })
    },
    listen: async (port, protocol = 'tcp') => void (await ask({ do: 'listen', port, protocol })),
    unlisten: async (port, protocol = 'tcp') => void (await ask({ do: 'unlisten', port, protocol })),
    connect: async (question) => asOutcome(await ask({ do: 'connect', ...withDefaults(question) })),
    open: async (question) => {
      const stream = (streams += 1)
      const opened = await ask({ do: 'open', stream, ...withDefaults(question) })
      if (opened['kind'] !== 'open')
        throw new Error(`${name}: no connection to ${question.to}: ${JSON.stringify(opened)}`)
      return {
        ask: async (timeoutMs = ANSWER_MS) => asOutcome(await ask({ do: 'ask', stream, timeoutMs })),
        halfClose: async () => void (await ask({ do: 'halfClose', stream })),
        close: async () => void (await ask({ do: 'close', stream })),
      }
    },
    askOften: async (question) => {
      const run = (runs += 1)
      await ask({ do: 'startRun', run, ...withDefaults(question) })
      return {
        read: async () => (await ask({ do: 'readRun', run }))['counts'] as Counts,
        end: async () => (await ask({ do: 'endRun', run }))['counts'] as Counts,
      }
    },
    close: () => endChild(child),
  }
}

type Fields = Readonly<Record<string, unknown>>

function withDefaults(question: Question): Fields {
  return { protocol: 'tcp', timeoutMs: ANSWER_MS, ...question }
}

function asOutcome(answer: Fields): Outcome {
  return answer as unknown as Outcome
}

/** Answers, once the process is up, with the function that sends a request and waits for its answer. */
async function converse(
  child: ChildProcessWithoutNullStreams,
  name: string,
): Promise<(request: Fields) => Promise<Fields>> {
  const waiting = new Map<number, { resolve: (answer: Fields) => void; reject: (error: Error) => void }>()
  let said = ''
  child.stderr.on('data', (text) => (said += String(text)))
  child.stdin.on('error', () => {})
  const fail = (reason: string) => {
    for (const { reject } of waiting.values()) reject(new Error(`${name}: ${reason}: ${said.trim()}`))
    waiting.clear()
  }
  child.on('error', (error) => fail(error.message))
  child.on('exit', () => fail('the process in the namespace ended'))
  createInterface(child.stdout).on('line', (line) => {
    const { id, failed, ...answer } = JSON.parse(line) as { readonly id: number; readonly failed?: string }
    const asked = waiting.get(id)
    waiting.delete(id)
    if (failed === undefined) asked?.resolve(answer)
    else asked?.reject(new Error(`${name}: ${failed}`))
  })
  const hear = (id: number) => new Promise<Fields>((resolve, reject) => waiting.set(id, { resolve, reject }))
  await hear(0)
  let last = 0
  return (request) => {
    last += 1
    const answer = hear(last)
    child.stdin.write(`${JSON.stringify({ id: last, ...request })}\n`)
    return answer
  }
}

function execIn(pid: number, argv: readonly [string, ...string[]], stdin?: string): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'nsenter',
      ['--net', '--target', String(pid), ...argv],
      { timeout: EXEC_TIMEOUT_MS, maxBuffer: 100_000_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr })
        else reject(new Error(`${argv.join(' ')}: ${stderr.trim() || error.message}`))
      },
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(stdin ?? '')
  })
}

async function endChild(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}
