// Brings the kernel to a program, and knows what the kernel holds. Only what was confirmed is believed: the belief is
// given up before something is written and taken up again afterwards, so that a failure, of whatever kind, makes the
// next round read the truth.

import { isEmptyChange } from '../iptables/diff.ts'
import { diffKernel, type KernelDiff } from '../iptables/diff-kernel.ts'
import { diffPrograms } from '../iptables/diff-programs.ts'
import type { DriftFinding } from '../iptables/drift-finding.ts'
import type { KernelText } from '../iptables/kernel-text.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import type { Program } from '../iptables/program.ts'
import type { RuleEdit, RulesetChange, TableChange } from '../iptables/restore.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import { type ChangeStep, halveStep, splitChange } from '../iptables/split-change.ts'
import { type KernelAccess, RestoreError } from './kernel-access.ts'

export interface Applier {
  /** What the kernel holds; undefined when nobody knows. */
  readonly believed: () => Program | undefined
  readonly forget: () => void
  /** Whether the next change rests on what was read some time before it. */
  readonly hasReading: () => boolean
  /** Forgets, and tells with the next reading what was different from the belief; `seen` is that reading if given. */
  readonly suspect: (seen?: SeenKernel) => void
  /** Whether what `bring` writes for the program rests on something that may have changed since it was known. */
  readonly guesses: (program: Program) => boolean
  readonly read: KernelAccess['read']
  /** Throws RestoreError, or what `read` throws. */
  readonly bring: (program: Program, options?: BringOptions) => Promise<Applied>
  /**
   * Makes a change that leads to the program, and that may have been made in part, in small steps. One that takes too
   * long is halved. The number of lines written.
   */
  readonly bringInBatches: (program: Program, change: RulesetChange, options: BatchOptions) => Promise<number>
}

/** What was read, and what would make it what is believed. */
export interface SeenKernel {
  readonly kernel: KernelText
  readonly change: KernelDiff
}

export interface BringOptions {
  /** What was just read; without it the kernel is read when it has to be. */
  readonly kernel?: KernelText
}

export interface BatchOptions {
  /** Chains in a batch. */
  readonly size: number
  /** Called before each batch; throws to end. */
  readonly onBatch: () => void
}

export interface Applied {
  readonly lines: number
  /** Whether the kernel was read and compared. */
  readonly compared: boolean
  readonly drift: readonly DriftFinding[]
}

export function createApplier(access: KernelAccess): Applier {
  let believed: Program | undefined
  let suspected: Program | undefined
  let seen: SeenKernel | undefined

  /** From what is known, or from what the kernel shows. */
  const plan = async (program: Program, kernel: KernelText | undefined): Promise<PlannedChange> => {
    // Other settings change every chain: reading costs less memory than comparing two whole programs.
    const lastSeen = seen
    seen = undefined
    if (believed?.settings === program.settings) {
      const known = believed
      return { change: diffPrograms(program, known), chains: () => countChains(known), compared: false, drift: [] }
    }
    const present = kernel ?? lastSeen?.kernel ?? (await access.read())
    const isSame = suspected !== undefined && wantsTheSame(suspected, program)
    const change = isSame && present === lastSeen?.kernel ? lastSeen.change : diffKernel(program, present)
    const drift = suspected === undefined || isSame ? change.findings : diffKernel(suspected, present).findings
    const wasSuspected = suspected !== undefined
    suspected = undefined
    const chains = (table: string) => present.tables.get(table)?.size ?? 0
    return { change, chains, compared: true, drift: wasSuspected ? drift : [] }
  }
  const forget = () => {
    believed = undefined
    seen = undefined
  }

  return {
    believed: () => believed,
    forget,
    hasReading: () => seen !== undefined,
    suspect: (given) => {
      suspected = believed ?? suspected
      forget()
      seen = given
    },
    guesses: (program) => seen !== undefined || believed?.settings === program.settings,
    read: access.read,
    bring: async (program, { kernel } = {}) => {
      const { change, chains, compared, drift } = await plan(program, kernel)
      if (isEmptyChange(change)) {
        believed = program
        return { lines: 0, compared, drift }
      }
      believed = undefined
      const lines = await access.write(change, chains)
      believed = program
      return { lines, compared, drift }
    },
    bringInBatches: async (program, change, { size, onBatch }) => {
      believed = undefined
      const steps = [...splitChange(change, program, size)]
      let lines = 0
      let repeated = 0
      for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
        onBatch()
        try {
          lines += await writeStep(access, step)
        } catch (error) {
          if (!(error instanceof RestoreError) || error.failure.kind !== 'timeout') throw error
          const halves = halveStep(step)
          if (halves === undefined) repeated += 1
          if (repeated > MOST_REPEATS) throw error
          steps.unshift(...(halves ?? [step]))
        }
      }
      believed = program
      return lines
    },
  }
}

/** The fixed rules follow from the settings. */
function wantsTheSame(a: Program, b: Program): boolean {
  return a.servicePorts === b.servicePorts && a.settings === b.settings && a.kept === b.kept
}

/** Of steps that are too small to be halved. */
const MOST_REPEATS = 3
/** A step must not read more than its own chains, or it takes as long as the whole. */
const NO_LISTING = (): number => Number.POSITIVE_INFINITY

async function writeStep(access: KernelAccess, { change, repeatable }: ChangeStep): Promise<number> {
  const whole = change()
  const rest = repeatable ? whole : await withoutPresent(access, whole)
  return isEmptyChange(rest) ? 0 : access.write(rest, NO_LISTING)
}

/** The insertions whose rules are not there yet: an attempt that was ended may have made some. */
async function withoutPresent(access: KernelAccess, { family, tables }: RulesetChange): Promise<RulesetChange> {
  const missing = new Map<TableName, TableChange>()
  for (const [table, change] of tables) {
    const present = await access.list(table, [...new Set(change.edits.map(({ chain }) => chain))])
    const counts = new Map<ChainName, number>()
    const edits = change.edits
      .filter(({ chain, rule }) => !present.has(printRuleLine(`-A ${chain}`, rule, family)))
      .map(({ chain, rule }): RuleEdit => {
        const number = (counts.get(chain) ?? 0) + 1
        counts.set(chain, number)
        return { kind: 'insert', chain, number, rule }
      })
    if (edits.length > 0) missing.set(table, { ...change, edits })
  }
  return { family, tables: missing }
}

interface PlannedChange {
  readonly change: RulesetChange
  /** Roughly how many chains a table has. */
  readonly chains: (table: string) => number
  readonly compared: boolean
  readonly drift: readonly DriftFinding[]
}

/** Nearly all are in nat; how many there are need not be known exactly. */
function countChains({ servicePorts }: Program): number {
  return servicePorts.reduce((sum, { endpoints }) => sum + endpoints.reachable.length + 1, 0)
}
