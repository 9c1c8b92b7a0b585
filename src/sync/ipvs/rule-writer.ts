// Writes the rules of IPVS mode, when they are other ones than those that stand.
import type { SetName } from '../../ipset/ip-set.ts'
import type { DriftFinding } from '../../iptables/drift-finding.ts'
import type { Program } from '../../iptables/program.ts'
import type { Syncer } from '../syncer.ts'

export interface RuleWriter {
  /** Compares them only when they may be other ones. Rejects as Syncer.sync does. */
  readonly bring: (wanted: Program, signal: AbortSignal) => Promise<RulesWritten>
  /** Takes away those that look into one of the sets, until `bring`: a set can be replaced only while no rule names it. */
  readonly leaveSets: (wanted: Program, names: readonly SetName[], signal: AbortSignal) => Promise<void>
  /** Whatever the rules are, they are compared by the next `bring`. */
  readonly forget: () => void
}

export interface RulesWritten {
  readonly lines: number
  readonly drift: readonly DriftFinding[]
}

export function createRuleWriter(rules: Pick<Syncer, 'sync' | 'forget'>): RuleWriter {
  /** What the rules were synced to. */
  let held: Program | undefined
  return {
    bring: async (wanted, signal) => {
      if (held === wanted) return { lines: 0, drift: [] }
      held = undefined
      const { lines, drift = [] } = await rules.sync(wanted, signal)
      held = wanted
      return { lines, drift }
    },
    leaveSets: async (wanted, names, signal) => {
      if (names.length === 0) return
      held = undefined
      await rules.sync(withoutSets(wanted, names), signal)
    },
    forget: () => {
      held = undefined
      rules.forget()
    },
  }
}

function withoutSets(program: Program, names: readonly SetName[]): Program {
  const chains = program.static.chains.map((chain) => ({
    ...chain,
    rules: chain.rules.filter(({ matches }) =>
      matches.every((match) => match.kind !== 'set' || !names.includes(match.set.value.name)),
    ),
  }))
  return { ...program, static: { ...program.static, chains } }
}
