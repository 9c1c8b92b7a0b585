// A host whose kernel is data: iptables-save and iptables-restore act on rules in memory and refuse what the kernel
// refuses. A share of the commands fails, before anything is applied or after all of it is.

import type { CommandResult } from '../../src/host/exec.ts'
import { CommandError } from '../../src/host/exec.ts'
import type { HandsCommand } from '../../src/host/hands.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Rule, Ruleset } from '../../src/iptables/rule.ts'
import type { Family } from '../../src/model/address.ts'
import { applyRestore, RestoreRefused } from './apply-restore.ts'

export interface FakeHost {
  readonly run: (command: HandsCommand) => Promise<CommandResult>
  readonly ensureCounters: (names: readonly string[]) => Promise<readonly string[]>
  readonly ruleset: () => Ruleset
  readonly setRuleset: (ruleset: Ruleset) => void
  /** As an administrator does; throws what the kernel refuses. */
  readonly restore: (payload: string) => void
  readonly payloads: string[]
}

export interface FakeHostOptions {
  readonly family?: Family
  /** Rules that the kernel does not take. */
  readonly refuses?: (ruleText: string) => boolean
  /** Whether refusals name the line; iptables-legacy names that of COMMIT for what its kernel refuses. */
  readonly namesLine?: 'rule' | 'commit'
  /** How the next command ends. */
  readonly nextFailure?: (program: string) => FakeFailure
  readonly counters?: boolean
}

/** `part`: it is ended for taking too long when the first tables are committed. */
export type FakeFailure = 'none' | 'before' | 'after' | 'part' | 'locked' | 'timeout' | 'gone'

const BASE_ONLY = '*filter\nCOMMIT\n*nat\nCOMMIT\n'

/** The rules in memory, and what was sent to change them. */
interface Kernel {
  ruleset: Ruleset
  readonly payloads: string[]
}

export function createFakeHost(options: FakeHostOptions = {}): FakeHost {
  const { family = 'ipv4', refuses = () => false, namesLine = 'rule', nextFailure = () => 'none' } = options
  const kernel: Kernel = { ruleset: applyRestore({ family, tables: new Map() }, BASE_ONLY), payloads: [] }
  return {
    payloads: kernel.payloads,
    ruleset: () => kernel.ruleset,
    setRuleset: (next) => {
      kernel.ruleset = next
    },
    restore: (payload) => {
      kernel.ruleset = applyRestore(kernel.ruleset, payload)
    },
    ensureCounters: async (names) => (options.counters === false ? [] : names),
    run: async ({ argv, stdin, discardOutput }) => {
      const failure = nextFailure(argv[0])
      if (failure === 'part') commitFirstTables(kernel, textOf(stdin))
      if (failure !== 'none' && failure !== 'after') throw failed(argv, failure)
      const stdout = argv[0].endsWith('-save')
        ? printKernel(kernel.ruleset)
        : restore(kernel, argv, textOf(stdin), { refuses, namesLine })
      if (failure === 'after') throw failed(argv, failure)
      return { stdout: discardOutput === true ? '' : stdout, stderr: '', exitCode: 0 }
    },
  }
}

function restore(
  kernel: Kernel,
  argv: HandsCommand['argv'],
  payload: string,
  { refuses, namesLine }: Required<Pick<FakeHostOptions, 'refuses' | 'namesLine'>>,
): string {
  if (/-A KUBE|-I |:KUBE|-D /.test(payload)) kernel.payloads.push(payload)
  const refused = findRefused(payload, refuses, namesLine)
  if (refused !== undefined) {
    kernel.ruleset = applyRestore(kernel.ruleset, refused.before)
    throw exit(
      argv,
      4,
      `iptables-nft-restore v1.8.9 (nf_tables): \nline ${refused.line}: RULE_APPEND failed (Invalid argument): rule in chain X\n`,
      namesLine,
      refused.line,
    )
  }
  const unknown = findUnknownListed(payload, kernel.ruleset)
  if (unknown !== undefined) throw exit(argv, 1, `iptables-nft-restore: line ${unknown} failed.\n`, 'rule', unknown)
  try {
    kernel.ruleset = applyRestore(kernel.ruleset, payload)
  } catch (error) {
    if (!(error instanceof RestoreRefused)) throw error
    kernel.ruleset = error.ruleset
    const stderr = `iptables-nft-restore: line ${error.line} failed: ${error.message}.\n`
    throw new CommandError(argv, { kind: 'exit', exitCode: 1 }, stderr)
  }
  return listing(payload, kernel.ruleset)
}

function commitFirstTables(kernel: Kernel, payload: string): void {
  const tables = payload.split('COMMIT\n').slice(0, -2)
  try {
    kernel.ruleset = applyRestore(kernel.ruleset, tables.map((table) => `${table}COMMIT\n`).join(''))
  } catch (error) {
    if (!(error instanceof RestoreRefused)) throw error
    kernel.ruleset = error.ruleset
  }
}

function failed(argv: HandsCommand['argv'], failure: Exclude<FakeFailure, 'none'>): Error {
  switch (failure) {
    case 'before':
      return new CommandError(argv, { kind: 'exit', exitCode: 1 }, 'out of luck')
    case 'after':
      return new CommandError(argv, { kind: 'signal', signal: 'SIGKILL' }, '')
    case 'locked':
      return new CommandError(
        argv,
        { kind: 'exit', exitCode: 4 },
        'Another app is currently holding the xtables lock. Stopped waiting after 5s.\n',
      )
    case 'part':
    case 'timeout':
      return new CommandError(argv, { kind: 'timeout', milliseconds: 1 }, '')
    case 'gone': {
      const error = new Error('the helper process is gone')
      error.name = 'HandsGone'
      return error
    }
    default:
      return failure satisfies never
  }
}

function exit(
  argv: HandsCommand['argv'],
  exitCode: number,
  stderr: string,
  namesLine: 'rule' | 'commit',
  line: number,
): CommandError {
  if (namesLine === 'rule') return new CommandError(argv, { kind: 'exit', exitCode }, stderr)
  return new CommandError(argv, { kind: 'exit', exitCode: 1 }, `iptables-restore: line ${line} failed\n`)
}

/** The line that is blamed, and the tables that were committed before it. */
function findRefused(
  payload: string,
  refuses: (ruleText: string) => boolean,
  namesLine: 'rule' | 'commit',
): { readonly line: number; readonly before: string } | undefined {
  const lines = payload.split('\n')
  const bad = lines.findIndex((line) => /^-[AI] /.test(line) && refuses(line))
  if (bad < 0) return undefined
  const start = lines.lastIndexOf('COMMIT', bad) + 1
  const commit = lines.indexOf('COMMIT', bad)
  const before = lines.slice(0, start)
  return {
    line: (namesLine === 'rule' ? bad : commit) + 1,
    before: before.length === 0 ? '' : `${before.join('\n')}\n`,
  }
}

/** The first line that lists a chain that is not there. */
function findUnknownListed(payload: string, { tables }: Ruleset): number | undefined {
  let table = ''
  for (const [index, line] of payload.split('\n').entries()) {
    if (line.startsWith('*')) table = line.slice(1)
    if (line.startsWith('-S ') && tables.get(table)?.has(line.slice('-S '.length)) !== true) return index + 1
  }
  return undefined
}

/** What `-S CHAIN` lines print. */
function listing(payload: string, { tables, family }: Ruleset): string {
  let table = ''
  let text = ''
  for (const line of payload.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1)
    if (!line.startsWith('-S ')) continue
    const name = line.slice('-S '.length)
    const chain = tables.get(table)?.get(name)
    text += `${chain?.policy === undefined ? `-N ${name}` : `-P ${name} ${chain.policy}`}\n${ruleLines(name, chain?.rules ?? [], family)}`
  }
  return text
}

/** As iptables-save prints it. */
export function printKernel({ tables, family }: Ruleset): string {
  let text = '# Generated by a fake\n'
  for (const [table, chains] of tables) {
    text += `*${table}\n`
    for (const [name, { policy }] of chains) text += `:${name} ${policy ?? '-'} [0:0]\n`
    for (const [name, { rules }] of chains) text += ruleLines(name, rules, family)
    text += 'COMMIT\n'
  }
  return text
}

function ruleLines(name: string, rules: readonly Rule[], family: Family): string {
  return rules.map((rule) => `-A ${name} ${printRule(rule, family)}`.trimEnd() + '\n').join('')
}

function textOf(stdin: HandsCommand['stdin']): string {
  if (stdin === undefined || typeof stdin === 'string') return stdin ?? ''
  const decoder = new TextDecoder()
  return stdin.map((block) => decoder.decode(block)).join('')
}
