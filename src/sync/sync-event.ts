// What a syncer tells while it works.
import type { TableName } from '../iptables/rule.ts'
import type { RestoreError } from './kernel-access.ts'

/** For logs and metrics. */
export type SyncEvent =
  | { readonly kind: 'isolated'; readonly owner: string; readonly error: RestoreError }
  /** The kernel takes its rules again. */
  | { readonly kind: 'reinstated'; readonly owner: string }
  /** The sync goes on with what can be done about it. */
  | { readonly kind: 'restore failed'; readonly error: RestoreError }
  /** A whole change took too long. */
  | { readonly kind: 'in batches'; readonly error: RestoreError }
  | { readonly kind: 'batch' }
  /** The kernel has this part of a sync. */
  | { readonly kind: 'written'; readonly rules: ReadonlyMap<TableName, number>; readonly restoreMs: number }
