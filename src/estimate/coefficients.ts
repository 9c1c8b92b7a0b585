// What sluice and the kernel take per rule. Written by `scripts/bench estimate`; not to be edited.
import type { Coefficients } from './coefficient-types.ts'

export const COEFFICIENTS: Coefficients = {
  measuredOn: '2 x Intel(R) Xeon(R) Processor @ 2.50GHz',
  agentBytes: {
    base: 164000000,
    perRule: 596,
  },
  iptables: {
    nft: {
      firstSyncMs: {
        base: 420,
        perRule: 0.087,
      },
      changeMs: {
        base: 11.2,
        perRule: 0.000892,
      },
      readBackMs: {
        base: 0,
        perRule: 0.0177,
      },
      kernelBytes: {
        base: 0,
        perRule: 689,
      },
    },
    legacy: {
      firstSyncMs: {
        base: 614,
        perRule: 0.116,
      },
      changeMs: {
        base: 0,
        perRule: 0.0111,
      },
      readBackMs: {
        base: 0,
        perRule: 0.0165,
      },
      kernelBytes: {
        base: 0,
        perRule: 463,
      },
    },
  },
  ipvs: {
    measuredIn: 'a second kernel, in which everything takes turns on one CPU and tools start slowly',
    firstSyncMs: {
      base: 0,
      perRule: 2.8,
    },
    changeMs: {
      base: 68.2,
      perRule: 0.0381,
    },
    agentBytes: {
      base: 200000000,
      perRule: 1070,
    },
  },
}
