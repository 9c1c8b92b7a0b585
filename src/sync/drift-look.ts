// Looks for what somebody else did to our rules, and makes the next sync read and repair it. Two looks: the frequent one
// sees flushes, and missing chains, jumps and rules; the read-back compares every rule.
//
// iptables-nft: the frequent look asks whether strangers wrote at all (stranger-watch.ts), for a millisecond, and goes on
// to the fixed chains and to everything when they did. iptables-legacy knows no such question and reads whole tables
// whatever it is asked, so there everything is read and compared with the digest of what was there before.
import type { Hands } from '../host/hands.ts'
import { diffKernel } from '../iptables/diff-kernel.ts'
import type { DriftFinding } from '../iptables/drift-finding.ts'
import { digestKernel, type KernelText } from '../iptables/kernel-text.ts'
import type { Family } from '../model/address.ts'
import type { Applier } from './applier.ts'
import { createCredit } from './credit.ts'
import { probeKernel, READ_BACK_SHARE } from './drift.ts'
import type { Generations } from './generations.ts'
import { createStrangerWatch } from './stranger-watch.ts'
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
}

/** Reads 10,000 Services back about 5 times. */
const MOST_CREDIT_MS = 15_000
const NOTHING: LookReport = { findings: [], tookMs: 0 }

export function createDriftLooks(options: DriftLookOptions): DriftLooks {
  const { hands, variant, family, now, applier, strangers } = options
  const credit = createCredit({ share: READ_BACK_SHARE, most: MOST_CREDIT_MS, now })
  const watch =
    strangers &&
    createStrangerWatch({
      generations: strangers.generations,
      fingerprint: () => strangers.fingerprint(family),
      credit,
    })
  /** Of a kernel that held what is believed; iptables-legacy only. */
  let digest: string | undefined

  const compare = (kernel: KernelText, read?: string): readonly DriftFinding[] => {
    const believed = applier.believed()
    if (believed === undefined) return []
    const change = diffKernel(believed, kernel)
    if (change.findings.length === 0) digest = read
    else applier.suspect({ kernel, change })
    return change.findings
  }
  const readBack = async (): Promise<readonly DriftFinding[]> => {
    const strangersSeen = await watch?.beforeReading()
    const kernel = await applier.read()
    const findings = compare(kernel, variant === 'legacy' ? digestKernel(kernel) : undefined)
    if (findings.length === 0) watch?.verified(strangersSeen)
    return findings
  }
  const lookAtFixed = async () => {
    const believed = applier.believed()
    if (believed === undefined) return []
    const findings = await probeKernel(hands, variant, believed)
    if (findings.length > 0) applier.suspect()
    return findings
  }
  const timed = async (look: () => Promise<readonly DriftFinding[]>): Promise<LookReport> => {
    if (applier.believed() === undefined) return NOTHING
    const started = now()
    return { findings: await look(), tookMs: now() - started }
  }
  /** Comparing is needed after each write of ours and of strangers: no reason to look later while there is credit. */
  const legacy = async (): Promise<LookReport> => {
    if (applier.believed() === undefined) return NOTHING
    const started = now()
    const kernel = await applier.read()
    const read = digestKernel(kernel)
    const readMs = now() - started
    if (read === digest) return { findings: [], tookMs: readMs }
    const isPaid = credit.isLeft()
    const findings = isPaid ? await credit.spend(async () => compare(kernel, read)) : compare(kernel, read)
    return { findings, tookMs: isPaid ? readMs : now() - started }
  }
  const frequent = async (): Promise<LookReport> => {
    if (variant === 'legacy') return legacy()
    const seen = applier.believed() === undefined ? 'unchanged' : await watch?.look()
    if (seen === 'unchanged') return NOTHING
    const report = await timed(lookAtFixed)
    if (seen !== 'read' || report.findings.length > 0) return report
    return { findings: await credit.spend(readBack), tookMs: report.tookMs }
  }
  return {
    frequent,
    readBack: () => timed(readBack),
    beforeSync: async () => {
      // What strangers wrote since that reading is seen by the next look, because nothing is verified here.
      if (applier.hasReading()) return () => {}
      const strangersSeen = applier.believed() === undefined ? await watch?.beforeReading() : undefined
      return () => watch?.verified(strangersSeen)
    },
    wrote: () => {
      digest = undefined
      watch?.wrote()
    },
  }
}
