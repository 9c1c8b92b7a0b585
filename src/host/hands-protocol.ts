// What passes between the main process and the helper. Large things do not: a tool's input and output lie in private
// files, of which only the path is sent, and conntrack entries are packed (flow-records.ts).
import type { Family, Ip } from '../model/address.ts'
import type { CommandFailure } from './exec.ts'
import type { AddressChange } from './hands.ts'

/** Bytes of a tool's input or output that are sent along instead of lying in a file. */
export const INLINE_LIMIT = 65_536

export interface RunRequest {
  readonly argv: readonly [string, ...string[]]
  readonly stdin?: string | Uint8Array | { readonly path: string }
  /** Where to make the file for standard output; the helper removes it when the answer holds the text. */
  readonly output: { readonly path: string } | 'discard'
  readonly timeoutMs: number
  readonly accept?: readonly number[]
}

export interface RunAnswer {
  readonly stdout: string | { readonly path: string }
  readonly stderr: string
  readonly exitCode: number
}

/** Request and answer of each kind of call. */
export interface HandsCalls {
  readonly run: { readonly request: RunRequest; readonly answer: RunAnswer }
  readonly listAddresses: { readonly request: undefined; readonly answer: readonly Ip[] }
  readonly listDeviceAddresses: { readonly request: string; readonly answer: readonly Ip[] | undefined }
  readonly changeDeviceAddresses: {
    readonly request: { readonly device: string; readonly change: AddressChange }
    readonly answer: void
  }
  readonly deleteDevice: { readonly request: string; readonly answer: boolean }
  readonly dumpConntrack: { readonly request: Family; readonly answer: Uint8Array }
  readonly deleteConntrack: {
    readonly request: { readonly family: Family; readonly records: Uint8Array }
    readonly answer: number
  }
  readonly ensureCounters: { readonly request: readonly string[]; readonly answer: readonly string[] }
  readonly readGeneration: { readonly request: undefined; readonly answer: number }
  readonly fingerprintChains: { readonly request: Family; readonly answer: string }
  readonly readCounters: { readonly request: readonly string[]; readonly answer: ReadonlyMap<string, number> }
}

export type HandsCall = {
  readonly [Kind in keyof HandsCalls]: {
    readonly id: number
    readonly kind: Kind
    readonly request: HandsCalls[Kind]['request']
  }
}[keyof HandsCalls]

export type HandsMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: HandsFailure }
  | { readonly kind: 'addresses changed' }

export type HandsFailure =
  | {
      readonly kind: 'command'
      readonly argv: readonly string[]
      readonly failure: CommandFailure
      readonly stderr: string
    }
  | { readonly kind: 'netlink'; readonly code: string; readonly message: string }
  | { readonly kind: 'other'; readonly message: string }
