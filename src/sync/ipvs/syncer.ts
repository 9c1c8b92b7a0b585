// Keeps the kernel's virtual servers, sets, addresses of kube-ipvs0 and rules of one family equal to what is desired, with
// the smallest change. Its goals are those of ../syncer.ts, which writes the rules.
// The order: what comes is ready before anything leads to it, and what goes stays for as long as anything leads to it:
// sets grow, rules change, addresses come, virtual servers change, come and go, addresses go, sets shrink. Because sets and
// addresses outlive virtual servers, they also tell which virtual servers are sluice's (picture.ts).
import type { DriftFinding } from '../../iptables/drift-finding.ts'
import { printOwnedLines } from '../../ipvs/line-owners.ts'
import type { IpvsProgram } from '../../ipvs/program.ts'
import type { Family } from '../../model/address.ts'
import type { LookReport, StrangerSources } from '../drift-look.ts'
import { createQueue } from '../queue.ts'
import type { SyncEvent } from '../sync-event.ts'
import { createSyncer, type Syncer, type SyncLimits, type SyncReport } from '../syncer.ts'
import type { IptablesVariant } from '../variant.ts'
import { compareKernel, type IpvsFinding } from './finding.ts'
import { createKernelReader, type Expected, type KernelReader } from './kernel-reader.ts'
import { createLateEntries, type LateEntries } from './late-entries.ts'
import {
  adopt,
  beginWriting,
  confirmWritten,
  createMemory,
  forgetKernel,
  knownPrograms,
  type Memory,
  takeDrift,
} from './memory.ts'
import { isServing, type KernelPicture } from './picture.ts'
import { printPlan } from './plan.ts'
import { createRefusals, type Refusals } from './refusals.ts'
import { createRound, type Round, type RoundEvent } from './round.ts'
import { createTerminations, DEFAULT_TERMINATION, type TerminationLimits, type Terminations } from './terminations.ts'
import { timeWrites, type WritingHands } from './timed-hands.ts'
import { createIpvsTools } from './tools.ts'

export interface IpvsSyncerOptions {
  readonly hands: WritingHands
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
export type IpvsSyncEvent =
  | Exclude<SyncEvent, { readonly kind: 'isolated' }>
  | RoundEvent
  /**
   * A batch was not taken as a whole; the sync goes on with what can be done about it. `payload`: its lines, each with the
   * ServicePort that it is for.
   */
  | { readonly kind: 'batch failed'; readonly error: Error; readonly payload: () => string }

export type IpvsSyncer = Syncer<IpvsProgram, DriftFinding | IpvsFinding>

type Find = (known: Expected, left: KernelPicture) => Promise<readonly (DriftFinding | IpvsFinding)[]>

export function createIpvsSyncer(options: IpvsSyncerOptions): IpvsSyncer {
  const parts = assemble(options)
  const { memory, rules, reader, round, device } = parts
  const inTurn = createQueue()
  return {
    sync: (program, signal) => inTurn(() => syncOnce(parts, program, signal)),
    check: (signal) =>
      inTurn(() =>
        look(parts, async (known, left) => [
          ...(await reader.probe(known, left)),
          ...(await rules.check(signal)).findings,
        ]),
      ),
    readBack: (signal) =>
      inTurn(() =>
        look(parts, async (known, left) => [
          ...compareKernel(left, await reader.read(known), device, known.state),
          ...(await rules.readBack(signal)).findings,
        ]),
      ),
    forget: () => {
      forgetKernel(memory)
      round.forgetRules()
    },
    plan: (program) => inTurn(() => planOnce(parts, program)),
  }
}

interface Parts {
  readonly memory: Memory
  readonly rules: Syncer
  readonly reader: KernelReader
  readonly round: Round
  readonly refusals: Refusals
  readonly terminations: Terminations
  readonly late: LateEntries
  readonly device: string
  readonly now: () => number
  readonly writtenMs: () => number
}

function assemble(options: IpvsSyncerOptions): Parts {
  const { family, now, device, onEvent = () => {} } = options
  const memory = createMemory()
  const { hands, writtenMs } = timeWrites(options.hands, now)
  const rules = createSyncer({ ...options, hands, onEvent: (event) => event.kind !== 'isolated' && onEvent(event) })
  const tools = createIpvsTools({
    hands,
    restoreMs: options.limits?.restoreMs ?? restoreMs,
    onFailed: (error, lines) => {
      const programs = knownPrograms(memory)
      onEvent({ kind: 'batch failed', error, payload: () => printOwnedLines(lines, programs) })
    },
  })
  const reader = createKernelReader({ ...options, hands, tools })
  const terminations = createTerminations(now, { ...DEFAULT_TERMINATION, ...options.termination })
  const refusals = createRefusals(now)
  const late = createLateEntries(family, now)
  const round = createRound({ hands, device, rules, tools, reader, refusals, late, terminations, onEvent })
  return { memory, rules, reader, round, refusals, terminations, late, device, now, writtenMs }
}

async function syncOnce(
  parts: Parts,
  program: IpvsProgram,
  signal: AbortSignal,
): Promise<SyncReport<DriftFinding | IpvsFinding>> {
  const { memory, reader, round, refusals, terminations, late, device, now, writtenMs } = parts
  const started = now()
  const writtenBefore = writtenMs()
  const known = adopt(memory, program)
  const compared = memory.believed === undefined
  const picture = memory.believed ?? (await reader.read(known))
  if (memory.suspected && memory.former !== undefined) {
    memory.drift = compareKernel(memory.former, picture, device, known.state)
  }
  memory.suspected = false
  const serversFirst = await putServersFirst(parts, picture)
  const touched = compared ? undefined : memory.touched
  beginWriting(memory, picture)
  const outcome = await round.bring({
    program,
    ...known,
    former: picture.servers,
    picture,
    touched,
    serversFirst,
    signal,
  })
  confirmWritten(memory, picture)
  const found = [...takeDrift(memory), ...outcome.drift]
  if (outcome.isSurprised) suspect(parts)
  const times = [refusals.nextInMs(), terminations.nextInMs(), late.nextInMs(), outcome.isSurprised ? 0 : undefined]
  const retryInMs = least(times)
  return {
    kind: outcome.lines === 0 ? 'none' : compared ? 'full' : 'partial',
    lines: outcome.lines,
    durationMs: now() - started,
    restoreMs: writtenMs() - writtenBefore,
    isolated: refusals.owners(),
    rules: known.state.rules,
    ...(retryInMs !== undefined && { retryInMs }),
    ...(found.length > 0 && { drift: found }),
  }
}

async function look(parts: Parts, find: Find): Promise<LookReport<DriftFinding | IpvsFinding>> {
  const { memory, now } = parts
  const { believed, expected } = memory
  if (believed === undefined || expected === undefined) return { findings: [], tookMs: 0 }
  const started = now()
  const findings = await find({ ...expected, former: believed.servers }, believed)
  if (findings.length > 0) suspect(parts)
  return { findings, tookMs: now() - started }
}

async function planOnce(parts: Parts, program: IpvsProgram): Promise<string> {
  const { memory, reader, rules } = parts
  const known = adopt(memory, program)
  const picture = await reader.read(known)
  const serversFirst = await putServersFirst(parts, picture)
  return printPlan({ ...known, picture, rules: await rules.plan(known.state.rules), serversFirst })
}

/** Somebody changed the kernel. */
function suspect({ memory, round }: Parts): void {
  memory.suspected = true
  forgetKernel(memory)
  round.forgetRules()
}

/**
 * Whether virtual servers are written before rules. From iptables mode: whoever's rules would change first had no virtual
 * server for new connections for a moment. Nothing else that is read tells of iptables mode, but a virtual server that
 * serves tells that nobody waits for one: on the way from IPVS mode all of them are drained (leftovers.ts).
 */
async function putServersFirst({ memory, reader }: Parts, picture: KernelPicture): Promise<boolean> {
  if (memory.applied !== undefined || isServing(picture)) return false
  return reader.hasServiceChains()
}

/** Ten times what a line takes where it takes longest: a batch that grows a set is all for nothing when it is ended. */
function restoreMs(lines: number): number {
  return 30_000 + lines
}

function least(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
