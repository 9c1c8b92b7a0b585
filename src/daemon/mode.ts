// What a proxy mode is to the daemon: how its programs are compiled, brought into the kernel, counted and shown. The daemon
// itself knows nothing of rules.
import type { Hands } from '../host/hands.ts'
import type { KernelText } from '../iptables/kernel-text.ts'
import type { TableName } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { StrangerSources } from '../sync/drift-look.ts'
import type { Syncer, SyncReport } from '../sync/syncer.ts'
import type { IptablesVariant } from '../sync/variant.ts'

export interface Mode<P extends ModeProgram> {
  readonly createCompiler: (config: ProxyConfig, node: NodeFacts, family: Family) => (snapshot: Snapshot) => P
  readonly createSyncer: (options: ModeSyncerOptions) => Syncer<P, Finding>
  /** Counts one program after another, at a cost that follows what changed. */
  readonly createMeter: () => (program: P, report: SyncReport<Finding>) => ProgramFigures
  /** For /debug/rules; of one Service, or all. */
  readonly printRules: (program: P, service: ObjectKey | undefined) => Generator<string>
}

export interface ModeProgram {
  readonly family: Family
  readonly servicePorts: readonly ServicePort[]
}

export interface ModeSyncerOptions {
  readonly hands: Hands
  readonly family: Family
  readonly variant: IptablesVariant
  readonly strangers?: StrangerSources
  readonly probeShare: number
  readonly now: () => number
  readonly onEvent: (event: ModeSyncEvent) => void
  /** What the kernel held when this process read it first. */
  readonly onFirstRead: (kernel: KernelText) => void
}

/** Something in the kernel that is not as it was left; what else it tells of the place goes into the log as it is. */
export interface Finding {
  readonly kind: string
  readonly owner?: string
}

export type ModeSyncEvent =
  | { readonly kind: 'isolated'; readonly owner: string; readonly error: Error; readonly what?: string }
  | { readonly kind: 'reinstated'; readonly owner: string }
  /** `payload`: what was not taken. */
  | { readonly kind: 'failed'; readonly error: Error; readonly payload?: () => string }
  | { readonly kind: 'in batches'; readonly error: Error }
  | { readonly kind: 'batch' }
  | { readonly kind: 'written'; readonly rules: ReadonlyMap<TableName, number> }

export interface ProgramFigures {
  readonly services: number
  readonly endpoints: number
  readonly rules: ReadonlyMap<TableName, number>
}
