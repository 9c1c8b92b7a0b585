// A place for whole `sluice run` processes: a network namespace of its own with the API server's double in it, whose
// objects live in the test's process. Needs root; this machine's own network is never touched.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Server } from 'node:net'
import path from 'node:path'
import { requireBuild } from '../cli/build.ts'
import { type ApiServer, startApiServer } from './api-server.ts'
import { type DaemonProcess, startDaemon } from './daemon-process.ts'
import { type Folder, oneContext, temporaryFolder } from './kubeconfig-file.ts'
import type { RunResult } from './network-namespace.ts'
import type { AgentAnswer, AgentCall } from './place-agent.ts'
import type { RawAnswer, RawRequest } from './raw-http.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
/** Another build of src may be tried instead of the one in dist. */
const MAIN = process.env['SLUICE_MAIN'] ?? path.join(ROOT, 'dist', 'main.js')

export interface DaemonPlace extends AsyncDisposable {
  readonly folder: Folder
  readonly server: ApiServer
  /** A file, to be used with --kubeconfig. */
  readonly kubeconfig: string
  readonly env: NodeJS.ProcessEnv
  /** Runs a command there. */
  readonly run: (argv: readonly string[], input?: string) => Promise<RunResult>
  /** The same; throws when the command fails. Returns its output. */
  readonly must: (argv: readonly string[], input?: string) => Promise<string>
  /** A listener on 127.0.0.1 there. */
  readonly listen: (port: number) => Promise<Server>
  /** See raw-http.ts; rejects when nobody listens. */
  readonly ask: (request: RawRequest) => Promise<RawAnswer | undefined>
  /** A file below /proc, as it is there. */
  readonly read: (file: string) => Promise<string>
  /** Starts `sluice run` there with these arguments. `inside`: words before the command line. */
  readonly daemon: (args: readonly string[], inside?: readonly string[]) => DaemonProcess
}

export interface PlaceOptions {
  /** By interface, as in host.json; lo is always up. */
  readonly interfaces?: Readonly<Record<string, readonly string[]>>
  /** Of the API server. */
  readonly token?: string
}

export async function openPlace(options: PlaceOptions = {}): Promise<DaemonPlace> {
  if (process.env['SLUICE_MAIN'] === undefined) requireBuild()
  const agent = await startAgent(['unshare', '-n'])
  const folder = temporaryFolder()
  const prefix = ['nsenter', `--net=/proc/${agent.pid}/ns/net`, '--']
  // iptables-legacy's lock belongs to this machine.
  const env = { ...process.env, XTABLES_LOCKFILE: path.join(folder.path, 'xtables.lock'), NODE_OPTIONS: '' }
  const daemons: DaemonProcess[] = []
  const run = (argv: readonly string[], input = '') => runCommand([...prefix, ...argv], input, env)
  const must = async (argv: readonly string[], input = '') => {
    const { status, stdout, stderr } = await run(argv, input)
    if (status !== 0) throw new Error(`${argv.join(' ')} failed: ${stderr}`)
    return stdout
  }
  const listen = async (port: number) => (await agent.call({ kind: 'listen', port })).server as Server
  await must(['ip', 'link', 'set', 'lo', 'up'])
  for (const [name, addresses] of Object.entries(options.interfaces ?? {})) await addInterface(must, name, addresses)
  const { token } = options
  const server = await startApiServer({ socket: await listen(0), ...(token !== undefined && { token }) })
  const user = token === undefined ? {} : { tokenFile: folder.write('token', token) }
  return {
    folder,
    server,
    kubeconfig: folder.write('kubeconfig', oneContext({ server: server.url }, user)),
    env,
    run,
    must,
    listen,
    ask: async (request) => (await agent.call({ kind: 'ask', request })).value as RawAnswer | undefined,
    read: async (file) => (await agent.call({ kind: 'read', path: file })).value as string,
    daemon: (args, inside = []) => {
      const daemon = startDaemon([...prefix, ...inside, process.execPath, MAIN, 'run', ...args], env)
      daemons.push(daemon)
      return daemon
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(daemons.map((daemon) => daemon.end()))
      await server.close()
      await agent.close()
      folder[Symbol.dispose]()
    },
  }
}

/** Bridges can be had in every kernel, dummy interfaces can't. */
async function addInterface(must: DaemonPlace['must'], name: string, addresses: readonly string[]): Promise<void> {
  if (name === 'lo') return
  await must(['ip', 'link', 'add', name, 'type', 'bridge'])
  for (const address of addresses) {
    await must(['ip', 'address', 'add', address, 'dev', name, ...(address.includes(':') ? ['nodad'] : [])])
  }
  await must(['ip', 'link', 'set', name, 'up'])
}

export interface Agent {
  readonly pid: number
  readonly call: (call: AgentCall) => Promise<{ readonly value?: unknown; readonly server?: unknown }>
  readonly close: () => Promise<void>
}

/** In a namespace, into which the words of `prefix` lead. */
export async function startAgent([program, ...words]: readonly [string, ...string[]]): Promise<Agent> {
  const file = path.join(import.meta.dirname, 'place-agent.ts')
  const argv = [...words, process.execPath, file]
  const child = spawn(program, argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const pending = new Map<number, PromiseWithResolvers<{ value?: unknown; server?: unknown }>>()
  const expectAnswer = (id: number) => {
    const answer = Promise.withResolvers<{ value?: unknown; server?: unknown }>()
    pending.set(id, answer)
    return answer.promise
  }
  child.on('message', ({ id, value, error }: AgentAnswer, server) => {
    if (error === undefined) pending.get(id)?.resolve({ value, server })
    else pending.get(id)?.reject(new Error(error))
    pending.delete(id)
  })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      for (const { reject } of pending.values()) reject(new Error('no process can be had in a namespace of its own'))
      resolve()
    })
  })
  await expectAnswer(0)
  let calls = 0
  return {
    pid: child.pid ?? 0,
    call: (call) => {
      const id = (calls += 1)
      const answer = expectAnswer(id)
      child.send({ id, call })
      return answer
    },
    close: async () => {
      child.disconnect()
      await ended
    },
  }
}

function runCommand(argv: readonly string[], input: string, env: NodeJS.ProcessEnv): Promise<RunResult> {
  const [program = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(program, args, { env, stdio: 'pipe' })
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, stdout, stderr }))
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** Whether a process runs; one that ended and was not waited for does not. */
export function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/cmdline`)
}
