// What `sluice run` is asked to do.
import type { EffectiveProxyConfig } from '../kube/config/proxy-config-effective.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { TerminationLimits } from '../sync/ipvs/terminations.ts'
import type { IptablesVariant } from '../sync/variant.ts'
import type { Log } from './log.ts'

export interface DaemonOptions {
  /** Of sluice. */
  readonly version: string
  readonly config: ProxyConfig
  /** The same, for the pages that show it. */
  readonly effective: EffectiveProxyConfig
  /** The flags that were given, for /flagz. */
  readonly flags: ReadonlyMap<string, string>
  readonly source: DaemonSource
  /** When this file is written the daemon ends, so that its supervisor starts it with the new content. */
  readonly configPath?: string
  /** Over what the host seems to use. */
  readonly variant?: IptablesVariant
  readonly task: DaemonTask
  readonly drift: DriftIntervals
  /** How removed endpoints finish their connections in IPVS mode. */
  readonly termination: Partial<TerminationLimits>
  /** Milliseconds that connections through IPVS may go on after a change to another mode. */
  readonly modeDrainMs: number
  /** Serve /debug/rules. */
  readonly debugRules: boolean
  readonly log: Log
  /** A dry run: gets what would be written at each change, and nothing is written. */
  readonly printPlan?: (text: string) => void
  /** Ends the daemon; the rules stay. */
  readonly signal: AbortSignal
}

export type DaemonSource =
  | { readonly kind: 'cluster'; readonly master?: string }
  | { readonly kind: 'directory'; readonly paths: readonly string[] }

/** `serve`: for ever. `once`: until every family has synced once. `init-only`: set what needs the most privileges, and end. */
export type DaemonTask = 'serve' | 'once' | 'init-only'

export interface DriftIntervals {
  /** Milliseconds between looks for a flush, missing chains and jumps; stretched where looking is dear. */
  readonly probeMs: number
  /** Of a core, that these looks may cost where strangers write all the time. */
  readonly probeShare: number
  /** Milliseconds between comparisons of everything; stretched so that they cost at most 1% of a core. */
  readonly readBackMs: number
}
