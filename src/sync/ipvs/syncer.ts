// Keeps the kernel's virtual servers, sets, addresses of kube-ipvs0 and rules of one family equal to what is desired, with
// the smallest change. Its goals are those of ../syncer.ts, which writes the rules.
// The order: what comes is ready before anything leads to it, and what goes stays for as long as anything leads to it:
// sets grow, rules change, addresses come, virtual servers change, come and go, addresses go, sets shrink. Because sets and
// addresses outlive virtual servers, they also tell which virtual servers are sluice's (picture.ts).
import type { Hands } from '../../host/hands.ts'
import type { DriftFinding } from '../../iptables/drift-finding.ts'
import { createIpvsLinker } from '../../ipvs/linker.ts'
import type { IpvsProgram, IpvsState, Touched } from '../../ipvs/program.ts'
import type { Family } from '../../model/address.ts'
import type { LookReport, StrangerSources } from '../drift-look.ts'
import { createQueue } from '../queue.ts'
import { createSyncer, type SyncEvent, type Syncer, type SyncLimits } from '../syncer.ts'
import type { IptablesVariant } from '../variant.ts'
import { compareKernel, type IpvsFinding } from './finding.ts'
import { createKernelReader, type Expected } from './kernel-reader.ts'
import type { KernelPicture } from './picture.ts'
import { printPlan } from './plan.ts'
import { createRefusals } from './refusals.ts'
import { createRound, type RoundEvent } from './round.ts'
import { createTerminations, DEFAULT_TERMINATION, type TerminationLimits } from './terminations.ts'
import { createIpvsTools } from './tools.ts'

export interface IpvsSyncerOptions {
  readonly hands: Pick<Hands, 'run' | 'ensureCounters' | 'listDeviceAddresses' | 'changeDeviceAddresses'>
  readonly family: Family
  readonly variant: IptablesVariant
  /** Of the rules: see SyncerOptions. */
  readonly strangers?: StrangerSources
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number
  readonly limits?: Partial<SyncLimits>
  readonly onEvent?: (event: IpvsSyncEvent) => void
  /** The interface that carries the addresses: kube-ipvs0. */
  readonly device: string
  readonly termination?: Partial<TerminationLimits>
}

/** For logs and metrics. */
export type IpvsSyncEvent = Exclude<SyncEvent, { readonly kind: 'isolated' }> | RoundEvent

export type IpvsSyncer = Syncer<IpvsProgram, DriftFinding | IpvsFinding>

type Find = (known: Expected, left: KernelPicture) => Promise<readonly (DriftFinding | IpvsFinding)[]>

export function createIpvsSyncer(options: IpvsSyncerOptions): IpvsSyncer {
  const { now, device, onEvent = () => {} } = options
  const { hands, writtenMs } = timeWrites(options.hands, now)
  const rules = createSyncer({ ...options, hands, onEvent: (event) => event.kind !== 'isolated' && onEvent(event) })
  const tools = createIpvsTools(hands, options.limits?.restoreMs ?? restoreMs)
  const reader = createKernelReader({ ...options, hands, tools })
  const terminations = createTerminations(now, { ...DEFAULT_TERMINATION, ...options.termination })
  const refusals = createRefusals(now)
  const round = createRound({ hands, device, rules, tools, reader, refusals, terminations, onEvent })
  const link = createIpvsLinker()
  const inTurn = createQueue()

  /** What the kernel holds; undefined when nobody knows. */
  let believed: KernelPicture | undefined
  /** What it held when that was last known. */
  let former: KernelPicture | undefined
  /** Somebody changed what was left in the kernel: tell what with the next reading. */
  let suspected = false
  /** What of it is not told yet. */
  let drift: readonly IpvsFinding[] = []
  let touched: Touched | undefined
  let expected: Expected | undefined
  /** Whether this process ever wrote the rules of this mode. */
  let hasRules = false

  const adopt = (program: IpvsProgram): Expected & { readonly state: IpvsState } => {
    const linked = link(program)
    touched = touched === undefined ? linked.touched : mergeTouched(touched, linked.touched)
    expected = { state: linked.state, settings: program.settings, former: former?.servers }
    return expected
  }
  const forget = () => {
    former = believed ?? former
    believed = undefined
    round.forgetRules()
  }
  const suspect = () => {
    suspected = true
    forget()
  }
  const sync = async (program: IpvsProgram, signal: AbortSignal) => {
    const started = now()
    const writtenBefore = writtenMs()
    const known = adopt(program)
    const compared = believed === undefined
    const picture = believed ?? (await reader.read(known))
    if (suspected && former !== undefined) drift = compareKernel(former, picture, device, known.state)
    suspected = false
    // From iptables mode: whoever's rules would change first had no virtual server for new connections for a moment.
    const serversFirst = !hasRules && (await reader.hasServiceChains())
    // Not believed before it is confirmed: after a failure, of whatever kind, the kernel is read.
    former = picture
    believed = undefined
    const outcome = await round.bring({
      program,
      ...known,
      former: picture.servers,
      picture,
      touched: compared ? undefined : touched,
      serversFirst,
      signal,
    })
    believed = picture
    touched = undefined
    hasRules = true
    const found = [...drift, ...outcome.drift]
    drift = []
    if (outcome.isSurprised) suspect()
    const retryInMs = least(refusals.nextInMs(), terminations.nextInMs(), outcome.isSurprised ? 0 : undefined)
    return {
      kind: outcome.lines === 0 ? 'none' : compared ? 'full' : 'partial',
      lines: outcome.lines,
      durationMs: now() - started,
      restoreMs: writtenMs() - writtenBefore,
      isolated: refusals.owners(),
      rules: known.state.rules,
      ...(retryInMs !== undefined && { retryInMs }),
      ...(found.length > 0 && { drift: found }),
    } as const
  }

  const look = (find: Find): Promise<LookReport<DriftFinding | IpvsFinding>> =>
    inTurn(async () => {
      if (believed === undefined || expected === undefined) return { findings: [], tookMs: 0 }
      const started = now()
      const findings = await find({ ...expected, former: believed.servers }, believed)
      if (findings.length > 0) suspect()
      return { findings, tookMs: now() - started }
    })

  return {
    sync: (program, signal) => inTurn(() => sync(program, signal)),
    check: (signal) =>
      look(async (known, left) => [...(await reader.probe(known, left)), ...(await rules.check(signal)).findings]),
    readBack: (signal) =>
      look(async (known, left) => [
        ...compareKernel(left, await reader.read(known), device, known.state),
        ...(await rules.readBack(signal)).findings,
      ]),
    forget,
    plan: (program) =>
      inTurn(async () => {
        const known = adopt(program)
        const picture = await reader.read(known)
        const serversFirst = !hasRules && (await reader.hasServiceChains())
        return printPlan({ ...known, picture, rules: await rules.plan(known.state.rules), serversFirst })
      }),
  }
}

/** Ten times what a line takes where it takes longest: a batch that grows a set is all for nothing when it is ended. */
function restoreMs(lines: number): number {
  return 30_000 + lines
}

/** The same Hands, and the milliseconds that what they wrote has taken so far. */
function timeWrites(
  hands: IpvsSyncerOptions['hands'],
  now: () => number,
): { readonly hands: IpvsSyncerOptions['hands']; readonly writtenMs: () => number } {
  let sum = 0
  const timed = async <T>(write: () => Promise<T>): Promise<T> => {
    const started = now()
    try {
      return await write()
    } finally {
      sum += now() - started
    }
  }
  return {
    hands: {
      run: (command) => (command.stdin === undefined ? hands.run(command) : timed(() => hands.run(command))),
      ensureCounters: (names) => hands.ensureCounters(names),
      listDeviceAddresses: (device) => hands.listDeviceAddresses(device),
      changeDeviceAddresses: (device, change) => timed(() => hands.changeDeviceAddresses(device, change)),
    },
    writtenMs: () => sum,
  }
}

function mergeTouched(before: Touched, now: Touched): Touched {
  const entries = new Map(before.entries)
  for (const [name, texts] of now.entries) entries.set(name, new Set([...(entries.get(name) ?? []), ...texts]))
  return {
    virtualServers: new Set([...before.virtualServers, ...now.virtualServers]),
    entries,
    addresses: new Set([...before.addresses, ...now.addresses]),
    rules: before.rules || now.rules,
  }
}

function least(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
