// How long writing takes, for the metrics of a sync.
import type { Hands } from '../../host/hands.ts'

export type WritingHands = Pick<Hands, 'run' | 'ensureCounters' | 'listDeviceAddresses' | 'changeDeviceAddresses'>

export interface TimedHands {
  readonly hands: WritingHands
  /** Milliseconds that what they wrote has taken so far. */
  readonly writtenMs: () => number
}

/** The same Hands; a command with input is one that writes. */
export function timeWrites(hands: WritingHands, now: () => number): TimedHands {
  let sum = 0
  const timed = async <T>(write: () => Promise<T>): Promise<T> => {
    const started = now()
    try {
      return await write()
    } finally {
      sum += now() - started
    }
  }
  return {
    hands: {
      run: (command) => (command.stdin === undefined ? hands.run(command) : timed(() => hands.run(command))),
      ensureCounters: (names) => hands.ensureCounters(names),
      listDeviceAddresses: (device) => hands.listDeviceAddresses(device),
      changeDeviceAddresses: (device, change) => timed(() => hands.changeDeviceAddresses(device, change)),
    },
    writtenMs: () => sum,
  }
}
