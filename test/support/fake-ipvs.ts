// A host whose kernel is data, in IPVS mode: ipvsadm, ipset and the addresses of an interface act on what is in memory, and
// refuse what the real ones refuse (test/second-kernel/ipvs-syncer.test.ts holds it against them); rules are those of
// fake-host.ts. A share of the commands fails.
import { CommandError, type CommandResult } from '../../src/host/exec.ts'
import { type Hands, type HandsCommand, HandsGone } from '../../src/host/hands.ts'
import type { Ip } from '../../src/model/address.ts'
import { createFakeHost, type FakeFailure, type FakeHost } from './fake-host.ts'
import { changeSet, type FakeSet, runIpset } from './fake-ipset.ts'
import { type FakeServer, runIpvsadm } from './fake-ipvsadm.ts'

export interface FakeIpvsHost {
  readonly hands: Pick<Hands, 'run' | 'ensureCounters' | 'listDeviceAddresses' | 'changeDeviceAddresses'>
  readonly rules: FakeHost
  /** By `-t 10.0.0.1:80`. */
  readonly servers: Map<string, FakeServer>
  readonly sets: Map<string, FakeSet>
  addresses: Set<Ip> | undefined
  /** Commands that were run, without those that only read. */
  readonly written: HandsCommand[]
  /** All of them, by program and first argument. */
  readonly processes: string[]
  /** As somebody else would; returns what the tool says. */
  readonly run: (program: string, args: string, stdin?: string) => CommandResult
}

export interface FakeIpvsOptions {
  readonly nextFailure?: (program: string) => FakeFailure
  /** Lines of ipvsadm -R and of ipset restore that the kernel does not take. */
  readonly refuses?: (line: string) => boolean
}

export function createFakeIpvsHost({
  nextFailure = () => 'none',
  refuses = () => false,
}: FakeIpvsOptions = {}): FakeIpvsHost {
  const servers = new Map<string, FakeServer>()
  const sets = new Map<string, FakeSet>()
  const rules = createFakeHost({
    refuses: (text) => [...text.matchAll(/--match-set (\S+)/g)].some(([, name]) => !sets.has(name ?? '')),
    nextFailure,
  })
  const run = (program: string, args: string, stdin = ''): CommandResult => {
    if (program === 'ipvsadm') return runIpvsadm(args, stdin, servers, refuses)
    return runIpset(args, stdin, sets, (line) =>
      refuses(line) ? 'Kernel error received' : changeSet(line, sets, (name) => usesSet(rules, name)),
    )
  }
  const host: FakeIpvsHost = {
    servers,
    sets,
    addresses: undefined,
    written: [],
    processes: [],
    rules,
    run,
    hands: {
      ensureCounters: rules.ensureCounters,
      run: (command) => runCommand(host, command, nextFailure),
      listDeviceAddresses: async () => {
        if (nextFailure('addresses') !== 'none') throw new HandsGone('gone')
        return host.addresses && [...host.addresses]
      },
      changeDeviceAddresses: async (_device, { add, remove }) => {
        const failure = nextFailure('addresses')
        if (failure !== 'none' && failure !== 'after') throw new HandsGone('gone')
        host.processes.push('addresses')
        host.addresses ??= new Set()
        for (const ip of add) host.addresses.add(ip)
        for (const ip of remove) host.addresses.delete(ip)
        if (failure === 'after') throw new HandsGone('gone')
      },
    },
  }
  return host
}

function usesSet(rules: FakeHost, name: string): boolean {
  return [...rules.ruleset().tables.values()].some((chains) =>
    [...chains.values()].some(({ rules: all }) =>
      all.some(({ matches }) => matches.some((match) => match.kind === 'set' && match.set.value.name === name)),
    ),
  )
}

/** As the daemon's helper does, unless it fails this time. */
async function runCommand(
  host: FakeIpvsHost,
  command: HandsCommand,
  nextFailure: (program: string) => FakeFailure,
): Promise<CommandResult> {
  const { written, processes, rules, run } = host
  const [program, ...args] = command.argv
  processes.push(`${program} ${args[0] ?? ''}`.trim())
  if (program !== 'ipvsadm' && program !== 'ipset') {
    if (program.endsWith('-restore') && !isProbe(command)) written.push(command)
    return rules.run(command)
  }
  if (args[0] === '-R' || args[0] === 'restore') written.push(command)
  const failure = nextFailure(program)
  const text = typeof command.stdin === 'string' ? command.stdin : ''
  if (failure === 'part') run(program, args.join(' '), firstHalf(text))
  if (failure !== 'none' && failure !== 'after') throw failed(command.argv, failure)
  const result = run(program, args.join(' '), text)
  if (failure === 'after') throw failed(command.argv, failure)
  if (!(command.accept ?? [0]).includes(result.exitCode)) {
    throw new CommandError(command.argv, { kind: 'exit', exitCode: result.exitCode }, result.stderr)
  }
  return result
}

function isProbe({ stdin }: HandsCommand): boolean {
  return typeof stdin === 'string' && stdin.includes('-S ')
}

function firstHalf(text: string): string {
  const lines = text.split('\n')
  return lines.slice(0, Math.floor(lines.length / 2)).join('\n')
}

function failed(argv: HandsCommand['argv'], failure: Exclude<FakeFailure, 'none'>): Error {
  if (failure === 'gone') return new HandsGone('the helper process is gone')
  if (failure === 'part' || failure === 'timeout')
    return new CommandError(argv, { kind: 'timeout', milliseconds: 1 }, '')
  if (failure === 'after') return new CommandError(argv, { kind: 'signal', signal: 'SIGKILL' }, '')
  return new CommandError(argv, { kind: 'exit', exitCode: 1 }, 'out of luck')
}
