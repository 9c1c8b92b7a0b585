// Runs one tool for the main process. Large input comes from a file and output goes to one, so neither passes this
// process, which must stay small. It starts the tool itself, without execa, which host/exec.ts uses: with that package
// this process takes 64 MB at its peak instead of 54, and a tool starts 2 ms later.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { type FileHandle, open, readFile, rm } from 'node:fs/promises'
import { CommandError, type CommandFailure, toolEnvironment } from '../host/exec.ts'
import { INLINE_LIMIT, type RunAnswer, type RunRequest } from '../host/hands-protocol.ts'

/** Milliseconds that a tool has to end after it was asked to. */
const KILL_AFTER_MS = 1_000
/** Characters that are kept of what a tool complains about: the first ones, where tools name the cause. */
const MAX_COMPLAINT = 65_536

/** Throws CommandError. The file of the input is removed as soon as it is open. */
export async function runTool(request: RunRequest): Promise<RunAnswer> {
  const { stdin } = request
  const files: FileHandle[] = []
  try {
    const input = typeof stdin === 'object' && 'path' in stdin ? await openInput(stdin.path, files) : stdin
    if (request.output === 'discard') return { stdout: '', ...(await runWith(request, input, 'ignore')) }
    const { path } = request.output
    const output = await openOutput(path, files)
    const result = await runWith(request, input, output.fd)
    if ((await output.stat()).size > INLINE_LIMIT) return { stdout: { path }, ...result }
    const stdout = await readFile(path, 'utf8')
    await rm(path, { force: true })
    return { stdout, ...result }
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

async function openInput(path: string, files: FileHandle[]): Promise<FileHandle> {
  const file = await open(path, 'r')
  files.push(file)
  await rm(path)
  return file
}

async function openOutput(path: string, files: FileHandle[]): Promise<FileHandle> {
  const file = await open(path, 'wx', 0o600)
  files.push(file)
  return file
}

type Ended = Omit<RunAnswer, 'stdout'>

async function runWith(
  { argv, timeoutMs, accept = [0] }: RunRequest,
  input: FileHandle | string | Uint8Array | undefined,
  output: number | 'ignore',
): Promise<Ended> {
  const inline = typeof input === 'string' || input instanceof Uint8Array
  const child = startTool(argv, [inline ? 'pipe' : (input?.fd ?? 'ignore'), output, 'pipe'])
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < MAX_COMPLAINT) stderr += text
  })
  // A tool may stop reading early; its exit code tells what came of that.
  child.stdin?.on('error', () => undefined)
  if (inline) child.stdin?.end(input)
  const ending = await endOf(child, timeoutMs)
  if (typeof ending === 'object') throw new CommandError(argv, ending, stderr)
  if (!accept.includes(ending)) throw new CommandError(argv, { kind: 'exit', exitCode: ending }, stderr)
  return { stderr, exitCode: ending }
}

function startTool(argv: RunRequest['argv'], stdio: StdioOptions): ChildProcess {
  const [program, ...args] = argv
  try {
    return spawn(program, args, { stdio, env: { ...process.env, ...toolEnvironment() } })
  } catch (error) {
    // A NUL character in an argument, for one.
    throw new CommandError(argv, { kind: 'not started', reason: String(error) }, '')
  }
}

/** The exit code, or why there is none. */
function endOf(child: ChildProcess, timeoutMs: number): Promise<number | CommandFailure> {
  return new Promise((resolve) => {
    let failure: CommandFailure | undefined
    let lastResort: NodeJS.Timeout | undefined
    const limit = setTimeout(() => {
      failure = { kind: 'timeout', milliseconds: timeoutMs }
      child.kill('SIGTERM')
      lastResort = setTimeout(() => {
        child.kill('SIGKILL')
        // A descendant may hold the pipe open for ever.
        child.stderr?.destroy()
      }, KILL_AFTER_MS)
    }, timeoutMs)
    const finish = (ending: number | CommandFailure) => {
      clearTimeout(limit)
      clearTimeout(lastResort)
      resolve(failure ?? ending)
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return
      finish(
        error.code === 'ENOENT' ? { kind: 'missing' } : { kind: 'not started', reason: error.code ?? error.message },
      )
    })
    child.on('close', (code, signal) => {
      finish(code ?? { kind: 'signal', signal: signal ?? 'an unknown signal' })
    })
  })
}
