// Hands that count what they are asked for, and how long it took.
import type { SupervisedHands } from '../../src/host/hands-client.ts'

export interface Counted {
  readonly processes: number
  readonly netlinkMessages: number
  /** Milliseconds by tool, with `netlink` for addresses; for a look at where time goes. */
  readonly spent: Readonly<Record<string, number>>
}

export interface CountedHands {
  readonly hands: SupervisedHands
  /** Since the last time. */
  take(): Counted
}

/** A change of addresses asks for the interface once, then sends a message for each address. */
export function countCalls(hands: SupervisedHands): CountedHands {
  let processes = 0
  let netlinkMessages = 0
  let spent: Record<string, number> = {}
  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    try {
      return await work()
    } finally {
      spent[what] = Math.round(((spent[what] ?? 0) + performance.now() - started) * 10) / 10
    }
  }
  return {
    hands: {
      ...hands,
      get pid() {
        return hands.pid
      },
      run: (command) => {
        processes += 1
        return timed(command.argv.slice(0, 2).join(' '), () => hands.run(command))
      },
      listDeviceAddresses: (device) => {
        // The interface, then each family.
        netlinkMessages += 3
        return timed('netlink list', () => hands.listDeviceAddresses(device))
      },
      changeDeviceAddresses: (device, change) => {
        netlinkMessages += 1 + change.add.length + change.remove.length
        return timed('netlink change', () => hands.changeDeviceAddresses(device, change))
      },
    },
    take: () => {
      const counted = { processes, netlinkMessages, spent }
      processes = 0
      netlinkMessages = 0
      spent = {}
      return counted
    },
  }
}
