// An entry of the kernel's connection table, as far as clean-up needs it.
import type { Ip } from '../model/address.ts'

export interface ConntrackFlow {
  readonly protocol: 'udp'
  /** As the client sent it. */
  readonly original: FlowTuple
  /** As answers are expected: its source is the endpoint that the flow was sent to. */
  readonly reply: FlowTuple
  /** The kernel's number of this very entry; with it, a newer entry with the same addresses is never taken for it. */
  readonly id?: number
}

export interface FlowTuple {
  readonly source: Ip
  readonly sourcePort: number
  readonly destination: Ip
  readonly destinationPort: number
}
