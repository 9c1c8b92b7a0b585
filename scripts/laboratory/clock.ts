// The clock that all processes of a measurement share.

/** Milliseconds of CLOCK_MONOTONIC, with fractions: the same in every process of this machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
