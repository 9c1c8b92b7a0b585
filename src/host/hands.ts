// What the main process may ask of the helper process ("hands"), which starts tools and talks netlink. It is a process of
// its own because starting a tool blocks the caller in proportion to its memory, and because the netlink package aborts
// its process when a receive buffer overruns. It may die at any moment: then requests are refused with HandsGone, and
// it is started again.
import type { Family, Ip } from '../model/address.ts'
import type { ConntrackFlow } from '../sync/conntrack-flow.ts'
import type { CommandResult } from './exec.ts'

export interface Hands {
  /**
   * Runs a tool. Rejects with CommandError (exec.ts) when the tool fails, with HandsGone when the helper died: then
   * assume nothing about what was applied, but no tool that it started is still running.
   */
  run(command: HandsCommand): Promise<CommandResult>
  /** The addresses of all interfaces, up or down. */
  listAddresses(): Promise<readonly Ip[]>
  /** The addresses of one interface; undefined when there is no such interface. */
  listDeviceAddresses(device: string): Promise<readonly Ip[] | undefined>
  /** Makes the interface, of type dummy, when it is missing. What is there, or gone, already is as wanted. */
  changeDeviceAddresses(device: string, change: AddressChange): Promise<void>
  /** Whether there was one. */
  deleteDevice(device: string): Promise<boolean>
  /** UDP entries only. */
  dumpConntrack(family: Family): Promise<readonly ConntrackFlow[]>
  /** How many of the entries were there. */
  deleteConntrack(family: Family, flows: readonly ConntrackFlow[]): Promise<number>
  /** Makes nfacct counters; the answer is which of them exist now, none where the kernel has no such thing. */
  ensureCounters(names: readonly string[]): Promise<readonly string[]>
  /** Packets counted; a counter that does not exist is absent. */
  readCounters(names: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** How many transactions of nf_tables this network namespace has had. */
  readGeneration(): Promise<number>
  /**
   * The same text as before as long as no chain of ours was made, deleted, or given another number of rules or of rules
   * that lead to it, in nf_tables.
   */
  fingerprintChains(family: Family): Promise<string>
  /** Called after addresses changed, and after every restart of the helper, because changes may have been missed. */
  onAddressChange(listener: () => void): void
  /** Ends the helper and every tool it runs; what is pending rejects with HandsGone. */
  close(): Promise<void>
}

/** Host addresses: /32 or /128. */
export interface AddressChange {
  readonly add: readonly Ip[]
  readonly remove: readonly Ip[]
}

export interface HandsCommand {
  readonly argv: readonly [string, ...string[]]
  /** Text goes as UTF-8. */
  readonly stdin?: string | readonly Uint8Array[]
  /** Milliseconds until the tool is ended. */
  readonly timeoutMs: number
  /** Exit codes that are an answer and not a failure; [0] when absent. */
  readonly accept?: readonly number[]
  /** Throw away what the tool prints on standard output, which is then empty in the result. */
  readonly discardOutput?: true
}

/** The helper process died, was ended or can't be started. */
export class HandsGone extends Error {
  override readonly name = 'HandsGone'
}

/** The kernel refused a netlink request or did not answer; `code` is such as `EPERM`, or `TIMEOUT`, or `NO_NETLINK`. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}
