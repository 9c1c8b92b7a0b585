// One round of a sync: everything that is written, in its order.
import type { AddressChange, Hands } from '../../host/hands.ts'
import type { SetName } from '../../ipset/ip-set.ts'
import { addEntryLine } from '../../ipset/print.ts'
import type { DriftFinding } from '../../iptables/drift-finding.ts'
import type { Program } from '../../iptables/program.ts'
import type { IpvsProgram, IpvsState, Touched } from '../../ipvs/program.ts'
import type { VirtualServerKey } from '../../ipvs/virtual-server.ts'
import { RestoreError } from '../kernel-access.ts'
import type { Syncer } from '../syncer.ts'
import { planAddresses, planSets, serversToCompare } from './change.ts'
import type { Expected, KernelReader } from './kernel-reader.ts'
import { type KernelPicture, temporarySet } from './picture.ts'
import { nameSubject, type Refusals, type Subject } from './refusals.ts'
import { createServerWriter, type ServerTask } from './server-writer.ts'
import { ADDED, createSetWriter } from './set-writer.ts'
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
  readonly terminations: Terminations
  readonly onEvent: (event: RoundEvent) => void
}

export type RoundEvent =
  /** `what`: `virtual server tcp 10.0.0.1:80`, `entry 30080 of KUBE-NODE-PORT-TCP` */
  | { readonly kind: 'isolated'; readonly owner: string; readonly what: string; readonly error: Error }
  | { readonly kind: 'reinstated'; readonly owner: string }
  /** A batch was not taken as a whole; the sync goes on with what can be done about it. */
  | { readonly kind: 'batch failed'; readonly error: Error }
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

export function createRound(options: RoundOptions): Round {
  const { hands, device, rules, tools, reader, refusals, terminations, onEvent } = options
  const reports = {
    tools,
    refusals,
    terminations,
    onRefused: (subject: Subject, owner: string, error: Error) =>
      onEvent({ kind: 'isolated', owner, what: nameSubject(subject), error }),
    onReinstated: (owner: string) => onEvent({ kind: 'reinstated', owner }),
    onFailed: (error: Error) => onEvent({ kind: 'batch failed', error }),
  }
  const setWriter = createSetWriter(reports)
  const serverWriter = createServerWriter(reports)
  /** What the rules were synced to. */
  let rulesHeld: Program | undefined

  const bringRules = async (wanted: Program, signal: AbortSignal) => {
    if (rulesHeld === wanted) return { lines: 0, drift: [] }
    rulesHeld = undefined
    const { lines, drift = [] } = await rules.sync(wanted, signal)
    rulesHeld = wanted
    return { lines, drift }
  }

  const serverTaskOf = (task: RoundTask): ServerTask => ({
    state: task.state,
    settings: task.settings,
    picture: task.picture,
    reread: () => reader.readServers(task, task.picture),
    onBatch: () => {
      task.signal.throwIfAborted()
      onEvent({ kind: 'batch' })
    },
  })

  const bring = async (task: RoundTask): Promise<RoundOutcome> => {
    const { program, state, settings, picture, touched, serversFirst, signal } = task
    const skip = (set: SetName, text: string) => refusals.holds({ kind: 'entry', set, text }, ADDED)
    refusals.keepOnly((subject) => concerns(subject, state, picture))
    const sets = planSets(state, picture, touched, skip)
    const addresses = planAddresses(state, picture, touched, settings)
    const compared = serversToCompare(state, picture, touched)
    const serverTask = serverTaskOf(task)
    const done: { lines: number; drift: readonly DriftFinding[] } = { lines: 0, drift: [] }
    const writeRules = async () => {
      const { lines, drift } = await bringRules(state.rules, signal)
      done.lines += lines
      done.drift = drift
    }
    const writeServers = async (keys: readonly VirtualServerKey[]) => {
      done.lines += await serverWriter.bring(serverTask, keys)
    }
    const changeAddresses = async (change: AddressChange, makesDevice: boolean) => {
      if (change.add.length + change.remove.length === 0 && !makesDevice) return
      signal.throwIfAborted()
      await hands.changeDeviceAddresses(device, change)
      done.lines += adoptAddresses(picture, change)
    }
    if (picture.leftover) await refuseNothing(tools.restoreSets([`destroy ${temporarySet(state.family)}`]))
    // A set can be replaced only while no rule names it.
    if (sets.replaced.length > 0) await rules.sync(withoutSets(state.rules, sets.replaced), signal)
    if (sets.replaced.length > 0) rulesHeld = undefined
    done.lines += await setWriter.grow(sets, picture, program)
    signal.throwIfAborted()
    if (!serversFirst) {
      try {
        await writeRules()
      } catch (error) {
        // Nothing new may be reachable without its rules, but endpoints of what is there must still be followed.
        if (error instanceof RestoreError) await writeServers(compared.filter((key) => isKept(key, state, picture)))
        throw error
      }
    }
    await changeAddresses({ add: addresses.add, remove: [] }, addresses.deviceMissing)
    await writeServers(compared)
    if (serversFirst) await writeRules()
    await changeAddresses({ add: [], remove: addresses.remove }, false)
    done.lines += await setWriter.shrink(sets, picture, program)
    done.lines += await retryDue(serverTask, program)
    const { lines, isSurprised } = await endTerminations(serverTask, terminations, tools, serverWriter)
    return { lines: done.lines + lines, drift: done.drift, isSurprised }
  }

  /** What was refused and whose time has come, after everything else stands. */
  const retryDue = async (task: ServerTask, program: IpvsProgram): Promise<number> => {
    const due = refusals.due()
    const entries = due.flatMap((subject) => {
      if (subject.kind !== 'entry') return []
      return [{ text: addEntryLine(subject.set, subject.text), entry: subject }]
    })
    const keys = due.flatMap((subject) => (subject.kind === 'virtual server' ? [subject.key] : []))
    const change = { diffs: new Map(), grow: entries, shrink: [], replaced: [] }
    return (await setWriter.grow(change, task.picture, program)) + (await serverWriter.retry(task, keys))
  }

  return {
    bring,
    forgetRules: () => {
      rulesHeld = undefined
      rules.forget()
    },
  }
}

/** The number of addresses that changed. */
function adoptAddresses(picture: KernelPicture, { add, remove }: AddressChange): number {
  picture.addresses ??= new Set()
  for (const ip of add) picture.addresses.add(ip)
  for (const ip of remove) picture.addresses.delete(ip)
  return add.length + remove.length
}

function isKept(key: VirtualServerKey, state: IpvsState, { servers }: KernelPicture): boolean {
  return state.virtualServers.has(key) && servers.has(key)
}

/** Whether it is desired, or still in the kernel. */
function concerns(subject: Subject, state: IpvsState, { servers }: KernelPicture): boolean {
  if (subject.kind === 'virtual server') return state.virtualServers.has(subject.key) || servers.has(subject.key)
  return state.sets.get(subject.set)?.entries.has(subject.text) === true
}

async function refuseNothing(answer: ReturnType<IpvsTools['restoreSets']>): Promise<void> {
  const refusal = await answer
  if (refusal !== undefined) throw refusal.error
}

/** The same rules but for those that look into one of the sets. */
function withoutSets(program: Program, names: readonly SetName[]): Program {
  const chains = program.static.chains.map((chain) => ({
    ...chain,
    rules: chain.rules.filter(({ matches }) =>
      matches.every((match) => match.kind !== 'set' || !names.includes(match.set.value.name)),
    ),
  }))
  return { ...program, static: { ...program.static, chains } }
}
