// What sluice and the kernel take per rule, as measured: the shape of coefficients.ts, which `scripts/bench estimate`
// writes.

/** A cost that grows in a straight line. */
export interface Line {
  readonly base: number
  readonly perRule: number
}

export interface VariantCoefficients {
  /** From the start of the agent until everything is in the kernel, ms. */
  readonly firstSyncMs: Line
  /** From an event about one endpoint until it is in the kernel, ms. */
  readonly changeMs: Line
  /** To read all rules back, ms. */
  readonly readBackMs: Line
  /** What the rules take in the kernel, bytes. */
  readonly kernelBytes: Line
}

export interface Coefficients {
  /** The machine, for the reader. */
  readonly measuredOn: string
  /** Resident memory of the agent, bytes. */
  readonly agentBytes: Line
  readonly iptables: { readonly nft: VariantCoefficients; readonly legacy: VariantCoefficients }
  /** By set entries, virtual servers, real servers and addresses together; absent when it was not measured. */
  readonly ipvs?: IpvsCoefficients
}

export interface IpvsCoefficients {
  /** Where: a second kernel on the same machine, which starts programs much slower. */
  readonly measuredIn: string
  /** From a compiled program until everything is in the kernel, ms. */
  readonly firstSyncMs: Line
  /** From a compiled program with one other endpoint until it is in the kernel, ms. */
  readonly changeMs: Line
  /** Resident memory of syncer and helper, bytes. */
  readonly agentBytes: Line
}
