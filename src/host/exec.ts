// The only code that starts a process: one program with its arguments, never a shell, bounded in time and output.
// Whatever goes wrong is one CommandError that says what was run and what the program said about it.
import { stripVTControlCharacters } from 'node:util'

export interface CommandOptions {
  readonly stdin?: string
  /** Milliseconds until the program is ended. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Exit codes that are an answer and not a failure; [0] when absent. */
  readonly accept?: readonly number[]
}

export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

export type CommandFailure =
  | { readonly kind: 'exit'; readonly exitCode: number }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'timeout'; readonly milliseconds: number }
  | { readonly kind: 'output too long'; readonly limit: number }
  | { readonly kind: 'aborted' }
  /** The program is not installed. */
  | { readonly kind: 'missing' }
  /** The program exists and could not be started; `reason` is the system's code or message. */
  | { readonly kind: 'not started'; readonly reason: string }

export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly argv: readonly string[]
  readonly failure: CommandFailure
  readonly stderr: string

  constructor(argv: readonly string[], failure: CommandFailure, stderr: string) {
    const said = printable(stderr.trim().split('\n', 1)[0] ?? '')
    super(`${commandLine(argv)} ${describe(failure, argv[0] ?? '')}${said === '' ? '' : `: ${said}`}`)
    this.argv = argv
    this.failure = failure
    this.stderr = stderr
  }
}

/** Characters of each output stream; 50,000 Services' rules are about 250 million. */
const MAX_OUTPUT = 400_000_000
const KILL_AFTER_MS = 1_000
const SHOWN_COMMAND_LINE = 200
const PLAIN_WORD = /^[\w@%+=:,./-]+$/

const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  conntrack: 'conntrack',
  ip: 'iproute2',
  ipset: 'ipset',
  ipvsadm: 'ipvsadm',
  modprobe: 'kmod',
  nfacct: 'nfacct',
  nft: 'nftables',
  sysctl: 'procps',
  unshare: 'util-linux',
}

/**
 * Runs `argv[0]` with the rest as its arguments, word for word, with LC_ALL=C so that messages are in English.
 * Throws CommandError when it can't be started, is ended early, or exits with a code that is not accepted.
 */
export async function runCommand(
  argv: readonly [string, ...string[]],
  options: CommandOptions,
): Promise<CommandResult> {
  const { execa } = await import('execa')
  const [program, ...args] = argv
  if (argv.some((word) => word.includes('\0'))) {
    throw new CommandError(argv, { kind: 'not started', reason: 'a NUL character in an argument' }, '')
  }
  const result = await execa(program, args, {
    ...(options.stdin === undefined ? { stdin: 'ignore' } : { input: options.stdin }),
    ...(options.signal && { cancelSignal: options.signal }),
    timeout: options.timeoutMs,
    forceKillAfterDelay: KILL_AFTER_MS,
    maxBuffer: MAX_OUTPUT,
    env: toolEnvironment(),
    stripFinalNewline: false,
    reject: false,
  })
  const failure = failureOf(result, options)
  if (failure !== undefined) throw new CommandError(argv, failure, result.stderr ?? '')
  return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode ?? 0 }
}

/** What of execa's result tells one failure from another. */
interface Ending {
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
  readonly code?: string | undefined
  readonly originalMessage?: string | undefined
  readonly timedOut: boolean
  readonly isCanceled: boolean
  readonly isMaxBuffer: boolean
}

function failureOf(ending: Ending, options: CommandOptions): CommandFailure | undefined {
  if (ending.isCanceled) return { kind: 'aborted' }
  if (ending.timedOut) return { kind: 'timeout', milliseconds: options.timeoutMs }
  if (ending.isMaxBuffer) return { kind: 'output too long', limit: MAX_OUTPUT }
  if (ending.signal !== undefined) return { kind: 'signal', signal: ending.signal }
  if (ending.exitCode === undefined) {
    if (ending.code === 'ENOENT') return { kind: 'missing' }
    return { kind: 'not started', reason: ending.code ?? ending.originalMessage ?? 'unknown reason' }
  }
  if ((options.accept ?? [0]).includes(ending.exitCode)) return undefined
  return { kind: 'exit', exitCode: ending.exitCode }
}

function describe(failure: CommandFailure, program: string): string {
  switch (failure.kind) {
    case 'exit':
      return `exited with ${failure.exitCode}`
    case 'signal':
      return `was ended by ${failure.signal}`
    case 'timeout':
      return `did not end within ${failure.milliseconds} ms`
    case 'output too long':
      return `printed more than ${failure.limit} characters`
    case 'aborted':
      return 'was stopped'
    case 'missing':
      return `could not be started: ${installHint(program)}`
    case 'not started':
      return `could not be started (${failure.reason})`
    default:
      return failure satisfies never
  }
}

function installHint(program: string): string {
  const debianPackage = /^ip6?tables(-|$)/.test(program) ? 'iptables' : DEBIAN_PACKAGES[program]
  if (debianPackage === undefined) return `there is no program ${printable(program)}`
  return `${program} is not installed; on Debian: apt-get install ${debianPackage}`
}

/**
 * What a tool gets beside this process's own environment: English, and the folders where these tools are, which a login of
 * an ordinary user on Debian does not search.
 */
export function toolEnvironment(): Readonly<Record<'LC_ALL' | 'PATH', string>> {
  return { LC_ALL: 'C', PATH: [process.env['PATH'] ?? '/usr/bin:/bin', '/usr/sbin', '/sbin'].join(':') }
}

function commandLine(argv: readonly string[]): string {
  const line = argv.map((word) => (PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
  return printable(line.length > SHOWN_COMMAND_LINE ? `${line.slice(0, SHOWN_COMMAND_LINE)}...` : line)
}

/** Tools repeat their input in messages, and input comes from strangers: nothing of it may steer a terminal. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, '?')
}
