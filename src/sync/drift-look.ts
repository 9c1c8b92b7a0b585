// Looks for what somebody else did to our rules, and makes the next sync read and repair it. Two looks: the frequent one
// sees flushes, and missing chains, jumps and rules; the read-back compares every rule.
//
// The frequent look asks whether strangers wrote at all, for one to four milliseconds, and goes on to everything when they
// did: iptables-nft counts its transactions (stranger-watch.ts), iptables-legacy its entries (size-watch.ts). Where the
// kernel can't be asked, iptables-nft shows its fixed chains, and iptables-legacy, which reads whole tables whatever it is
// asked, everything: that is compared with the digest of what was there before.
// Reading has a credit, but damage that was found costs none of it: however often somebody flushes our rules, each time
// is noticed at once, and only strangers who write elsewhere all the time make looks rarer.
import type { Hands } from '../host/hands.ts'
import { diffKernel } from '../iptables/diff-kernel.ts'
import type { DriftFinding } from '../iptables/drift-finding.ts'
import { digestKernel, type KernelText } from '../iptables/kernel-text.ts'
import type { Program } from '../iptables/program.ts'
import type { TableName } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'
import type { Applier } from './applier.ts'
import { type Credit, createCredit } from './credit.ts'
import { probeKernel, READ_BACK_SHARE } from './drift.ts'
import type { Generations } from './generations.ts'
import { createSizeWatch } from './size-watch.ts'
import { createStrangerWatch, type StrangerWatch } from './stranger-watch.ts'
import { createTableSizes } from './table-sizes.ts'
import type { IptablesVariant } from './variant.ts'

export interface LookReport<F = DriftFinding> {
  readonly findings: readonly F[]
  /** Milliseconds, without waiting for a sync under way, and without what has a limit of its own. */
  readonly tookMs: number
}

export interface DriftLooks {
  readonly frequent: () => Promise<LookReport>
  readonly readBack: () => Promise<LookReport>
  /** Before a sync; says what to do when it has read, compared and repaired everything. */
  readonly beforeSync: () => Promise<() => void>
  /** We wrote: digests are other ones now. */
  readonly wrote: () => void
}

/** What iptables-nft can tell beside its rules. */
export interface StrangerSources {
  /** One for both families. */
  readonly generations: Generations
  readonly fingerprint: (family: Family) => Promise<string>
}

export interface DriftLookOptions {
  readonly hands: Pick<Hands, 'run'>
  readonly variant: IptablesVariant
  readonly family: Family
  readonly now: () => number
  readonly applier: Pick<Applier, 'believed' | 'hasReading' | 'suspect' | 'read'>
  readonly strangers?: StrangerSources
  /** Of a core, for what is read because strangers wrote, and found to be as it was left; READ_BACK_SHARE when absent. */
  readonly probeShare?: number
}

/** Reads 10,000 Services back about 5 times. */
const MOST_CREDIT_MS = 15_000
/**
 * iptables-nft-save begins again whenever somebody writes while it reads, so beside one who writes all the time it may
 * never end. A sync must not wait for that: 20 seconds are enough for 10,000 Services on a machine ten times too busy.
 */
const LOOK_TIMEOUT_MS = 20_000
/** A look at fixed places costs about this much of a core, however long it waited for one. */
const SMALL_LOOK_MS = 10
const NOTHING: LookReport = { findings: [], tookMs: 0 }

export function createDriftLooks(options: DriftLookOptions): DriftLooks {
  const { hands, variant, family, now, applier, strangers } = options
  const credit = createCredit({ share: options.probeShare ?? READ_BACK_SHARE, most: MOST_CREDIT_MS, now })
  const watch = variant === 'legacy' ? watchSizes(options, credit) : strangers && watchRules(strangers, family, credit)
  /** For the sync that repairs what was read last. */
  let lastReadVerified = () => {}

  const compare = (kernel: KernelText): readonly DriftFinding[] => {
    const believed = applier.believed()
    if (believed === undefined) return []
    const change = diffKernel(believed, kernel)
    if (change.findings.length > 0) applier.suspect({ kernel, change })
    return change.findings
  }
  const whole = createWholeLook(options, credit, compare)
  const readBack = async (): Promise<readonly DriftFinding[]> => {
    lastReadVerified = (await watch?.beforeReading()) ?? (() => {})
    const findings = compare(await applier.read(LOOK_TIMEOUT_MS))
    if (findings.length === 0) lastReadVerified()
    return findings
  }
  const lookAtFixed = async (): Promise<LookReport> => {
    const believed = applier.believed()
    const findings = believed === undefined ? [] : await probeKernel(hands, variant, believed)
    if (findings.length > 0) applier.suspect()
    return { findings, tookMs: SMALL_LOOK_MS }
  }
  const frequent = async (): Promise<LookReport> => {
    if (applier.believed() === undefined) return NOTHING
    const seen = (await watch?.look()) ?? 'unknown'
    if (seen === 'unchanged') return { findings: [], tookMs: SMALL_LOOK_MS }
    if (seen === 'unknown' && variant === 'legacy') {
      lastReadVerified = () => {}
      return whole.look()
    }
    // What iptables-nft shows of its fixed chains is cheap, and enough to begin the repair; iptables-legacy reads it all.
    const report = variant === 'nft' ? await lookAtFixed() : { findings: [], tookMs: SMALL_LOOK_MS }
    if (seen !== 'read' || report.findings.length > 0) return report
    return { ...report, findings: await credit.spend(readBack, (found) => found.length > 0) }
  }
  return {
    frequent,
    readBack: async () => {
      if (applier.believed() === undefined) return NOTHING
      const started = now()
      return { findings: await readBack(), tookMs: now() - started }
    },
    beforeSync: async () => {
      // What strangers wrote since that reading is seen by the next look, because it is not verified here.
      if (applier.hasReading()) return lastReadVerified
      return (applier.believed() === undefined ? await watch?.beforeReading() : undefined) ?? (() => {})
    },
    wrote: () => {
      whole.wrote()
      watch?.wrote()
    },
  }
}

/** Reads everything, and compares it when its digest is not that of a kernel that held what is believed. */
function createWholeLook(
  { applier, now }: Pick<DriftLookOptions, 'applier' | 'now'>,
  credit: Credit,
  compare: (kernel: KernelText) => readonly DriftFinding[],
): { readonly look: () => Promise<LookReport>; readonly wrote: () => void } {
  let digest: string | undefined
  return {
    /** Comparing is needed after each write of ours and of strangers: no reason to look later while there is credit. */
    look: async () => {
      const started = now()
      const kernel = await applier.read(LOOK_TIMEOUT_MS)
      const read = digestKernel(kernel)
      const readMs = now() - started
      if (read === digest) return { findings: [], tookMs: readMs }
      const isPaid = credit.isLeft()
      const findings = isPaid ? await credit.spend(async () => compare(kernel)) : compare(kernel)
      if (findings.length === 0) digest = read
      return { findings, tookMs: isPaid ? readMs : now() - started }
    },
    wrote: () => {
      digest = undefined
    },
  }
}

function watchRules({ generations, fingerprint }: StrangerSources, family: Family, credit: Credit): StrangerWatch {
  return createStrangerWatch({ generations, fingerprint: () => fingerprint(family), credit })
}

function watchSizes({ hands, family, applier }: DriftLookOptions, credit: Credit): StrangerWatch {
  const read = createTableSizes(hands, family)
  const { believed } = applier
  const sizes = async () => {
    const program = believed()
    return program && read(tablesOf(program))
  }
  return createSizeWatch({ sizes, believed, credit })
}

function tablesOf(program: Program): readonly TableName[] {
  return [...new Set(program.static.chains.map(({ table }) => table))].toSorted()
}
