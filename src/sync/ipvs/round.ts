// One round of a sync: everything that is written, in its order.
import type { AddressChange, Hands } from '../../host/hands.ts'
import type { SetName } from '../../ipset/ip-set.ts'
import { addEntryLine } from '../../ipset/print.ts'
import type { DriftFinding } from '../../iptables/drift-finding.ts'
import type { IpvsProgram, IpvsState, Touched } from '../../ipvs/program.ts'
import type { VirtualServerKey } from '../../ipvs/virtual-server.ts'
import { RestoreError } from '../kernel-access.ts'
import type { Syncer } from '../syncer.ts'
import { type AddressesChange, planAddresses, planSets, type SetsChange, serversToCompare } from './change.ts'
import type { Expected, KernelReader } from './kernel-reader.ts'
import type { LateEntries } from './late-entries.ts'
import { type KernelPicture, temporarySet } from './picture.ts'
import { nameSubject, type Refusals, type Subject } from './refusals.ts'
import { createRuleWriter, type RulesWritten, type RuleWriter } from './rule-writer.ts'
import { createServerWriter, type ServerTask, type ServerWriter } from './server-writer.ts'
import { ADDED, createSetWriter, type SetWriter } from './set-writer.ts'
import { endTerminations } from './termination-writer.ts'
import type { Terminations } from './terminations.ts'
import type { IpvsTools } from './tools.ts'

export interface RoundOptions {
  readonly hands: Pick<Hands, 'changeDeviceAddresses'>
  readonly device: string
  readonly rules: Pick<Syncer, 'sync' | 'forget'>
  readonly tools: IpvsTools
  readonly reader: KernelReader
  readonly refusals: Refusals
  readonly late: LateEntries
  readonly terminations: Terminations
  readonly onEvent: (event: RoundEvent) => void
}

export type RoundEvent =
  /** `what`: `virtual server tcp 10.0.0.1:80`, `entry 30080 of KUBE-NODE-PORT-TCP` */
  | { readonly kind: 'isolated'; readonly owner: string; readonly what: string; readonly error: Error }
  | { readonly kind: 'reinstated'; readonly owner: string }
  | { readonly kind: 'batch' }

export interface RoundTask extends Expected {
  readonly program: IpvsProgram
  /** Brought up to date. */
  readonly picture: KernelPicture
  /** What to compare; everything when absent. */
  readonly touched: Touched | undefined
  /** Whether virtual servers are written before rules. */
  readonly serversFirst: boolean
  readonly signal: AbortSignal
}

export interface RoundOutcome {
  readonly lines: number
  /** In the rules. */
  readonly drift: readonly DriftFinding[]
  /** The kernel was not as it had been left: read it. */
  readonly isSurprised: boolean
}

export interface Round {
  /** Rejects when something can't be written that is no single Service's fault; then the kernel is to be read. */
  readonly bring: (task: RoundTask) => Promise<RoundOutcome>
  /** Whatever the rules are, they are compared in the next round. */
  readonly forgetRules: () => void
}

interface Writers extends RoundOptions {
  readonly ruleWriter: RuleWriter
  readonly setWriter: SetWriter
  readonly serverWriter: ServerWriter
}

export function createRound(options: RoundOptions): Round {
  const { tools, refusals, terminations, onEvent } = options
  const reports = {
    tools,
    refusals,
    terminations,
    onRefused: (subject: Subject, owner: string, error: Error) =>
      onEvent({ kind: 'isolated', owner, what: nameSubject(subject), error }),
    onReinstated: (owner: string) => onEvent({ kind: 'reinstated', owner }),
  }
  const ruleWriter = createRuleWriter(options.rules)
  const writers: Writers = {
    ...options,
    ruleWriter,
    setWriter: createSetWriter(reports),
    serverWriter: createServerWriter(reports),
  }
  return { bring: (task) => bringAll(writers, task), forgetRules: ruleWriter.forget }
}

async function bringAll(writers: Writers, task: RoundTask): Promise<RoundOutcome> {
  const { setWriter, serverWriter, terminations, tools } = writers
  const { program, picture, serversFirst, signal } = task
  const { sets, addresses, servers } = planRound(writers, task)
  const serverTask = serverTaskOf(writers, task)
  let written: RulesWritten = { lines: 0, drift: [] }
  await clearWay(writers, task, sets.replaced)
  let lines = await setWriter.grow(sets, picture, program)
  signal.throwIfAborted()
  if (!serversFirst) written = await bringRules(writers, task, serverTask, servers)
  lines += await addAddresses(writers, task, addresses)
  lines += await serverWriter.bring(serverTask, servers)
  if (serversFirst) written = await writers.ruleWriter.bring(task.state.rules, signal)
  lines += await removeAddresses(writers, task, addresses)
  lines += await setWriter.shrink(sets, picture, program)
  lines += await retryDue(writers, serverTask, program)
  const ended = await endTerminations(serverTask, terminations, tools, serverWriter)
  return { lines: lines + written.lines + ended.lines, drift: written.drift, isSurprised: ended.isSurprised }
}

interface RoundPlan {
  readonly sets: SetsChange
  readonly addresses: AddressesChange
  /** To be compared. */
  readonly servers: readonly VirtualServerKey[]
}

function planRound({ refusals, late }: Writers, { state, settings, picture, touched }: RoundTask): RoundPlan {
  refusals.keepOnly((subject) => concerns(subject, state, picture))
  const skip = (set: SetName, text: string) => refusals.holds({ kind: 'entry', set, text }, ADDED)
  const compared = late.withWaiting(touched)
  return {
    sets: late.postpone(planSets(state, picture, compared, skip), compared),
    addresses: planAddresses(state, picture, touched, settings),
    servers: serversToCompare(state, picture, touched),
  }
}

function serverTaskOf({ reader, onEvent }: Writers, task: RoundTask): ServerTask {
  const { state, settings, picture, signal } = task
  return {
    state,
    settings,
    picture,
    reread: () => reader.readServers(task, picture),
    onBatch: () => {
      signal.throwIfAborted()
      onEvent({ kind: 'batch' })
    },
  }
}

/** What has to be gone before sets can be written. */
async function clearWay(
  { tools, ruleWriter }: Writers,
  { state, picture, signal }: RoundTask,
  replaced: readonly SetName[],
): Promise<void> {
  if (picture.leftover) {
    const refusal = await tools.restoreSets([`destroy ${temporarySet(state.family)}`])
    if (refusal !== undefined) throw refusal.error
  }
  await ruleWriter.leaveSets(state.rules, replaced, signal)
}

/** Before virtual servers: nothing new may be reachable without its rules, but endpoints of what is there are followed. */
async function bringRules(
  { ruleWriter, serverWriter }: Writers,
  { state, picture, signal }: RoundTask,
  serverTask: ServerTask,
  servers: readonly VirtualServerKey[],
): Promise<RulesWritten> {
  try {
    return await ruleWriter.bring(state.rules, signal)
  } catch (error) {
    const isKept = (key: VirtualServerKey) => state.virtualServers.has(key) && picture.servers.has(key)
    if (error instanceof RestoreError) await serverWriter.bring(serverTask, servers.filter(isKept))
    throw error
  }
}

async function addAddresses(
  writers: Writers,
  task: RoundTask,
  { add, deviceMissing }: AddressesChange,
): Promise<number> {
  return add.length > 0 || deviceMissing ? changeAddresses(writers, task, { add, remove: [] }) : 0
}

async function removeAddresses(writers: Writers, task: RoundTask, { remove }: AddressesChange): Promise<number> {
  return remove.length > 0 ? changeAddresses(writers, task, { add: [], remove }) : 0
}

/** The number of addresses that changed. */
async function changeAddresses(
  { hands, device }: Writers,
  { picture, signal }: RoundTask,
  change: AddressChange,
): Promise<number> {
  signal.throwIfAborted()
  await hands.changeDeviceAddresses(device, change)
  picture.addresses ??= new Set()
  for (const ip of change.add) picture.addresses.add(ip)
  for (const ip of change.remove) picture.addresses.delete(ip)
  return change.add.length + change.remove.length
}

/** What was refused and whose time has come, after everything else stands. */
async function retryDue(
  { refusals, setWriter, serverWriter }: Writers,
  task: ServerTask,
  program: IpvsProgram,
): Promise<number> {
  const due = refusals.due()
  const grow = due.flatMap((subject) => {
    if (subject.kind !== 'entry') return []
    return [{ text: addEntryLine(subject.set, subject.text), entry: subject }]
  })
  const keys = due.flatMap((subject) => (subject.kind === 'virtual server' ? [subject.key] : []))
  const change = { diffs: new Map(), grow, swept: [], shrink: [], replaced: [] }
  return (await setWriter.grow(change, task.picture, program)) + (await serverWriter.retry(task, keys))
}

/** Whether it is desired, or still in the kernel. */
function concerns(subject: Subject, state: IpvsState, { servers }: KernelPicture): boolean {
  if (subject.kind === 'virtual server') return state.virtualServers.has(subject.key) || servers.has(subject.key)
  return state.sets.get(subject.set)?.entries.has(subject.text) === true
}
