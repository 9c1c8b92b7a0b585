// The helper process: started by src/host/hands-process.ts with the folder of private files as its argument. It does
// what it is told over its IPC channel, holds nothing that would be missed, and ends when the channel does.
import { rmSync } from 'node:fs'
import { CommandError } from '../host/exec.ts'
import { NetlinkError } from '../host/hands.ts'
import type { HandsCall, HandsFailure, HandsMessage } from '../host/hands-protocol.ts'
import { loadNetlink, type Netlink } from '../host/netlink.ts'
import { listAddresses, watchAddresses } from './netlink-addresses.ts'
import { fingerprintChains, readGeneration } from './netlink-chains.ts'
import { deleteConntrack, dumpConntrack } from './netlink-conntrack.ts'
import { ensureCounters, readCounters } from './netlink-counters.ts'
import { changeDeviceAddresses, deleteDevice, listDeviceAddresses } from './netlink-device.ts'
import { runTool } from './run-tool.ts'

const [, , folder] = process.argv

process.on('message', (call) => void answer(call as HandsCall))
process.on('disconnect', end)
const netlink = loadNetlink()
const watch = netlink.then(
  (loaded) => watchAddresses(loaded, () => tell({ kind: 'addresses changed' })),
  () => undefined,
)

let lastNetlinkCall: Promise<unknown> = Promise.resolve()

async function answer(call: HandsCall): Promise<void> {
  try {
    tell({ kind: 'answer', id: call.id, value: await perform(call) })
  } catch (error) {
    tell({ kind: 'failure', id: call.id, failure: failureOf(error) })
  }
}

function perform(call: HandsCall): Promise<unknown> {
  switch (call.kind) {
    case 'run':
      return runTool(call.request)
    case 'listAddresses':
      return inTurn(listAddresses)
    case 'listDeviceAddresses':
      return inTurn((loaded) => listDeviceAddresses(loaded, call.request))
    case 'changeDeviceAddresses':
      return inTurn(deaf((loaded) => changeDeviceAddresses(loaded, call.request.device, call.request.change)))
    case 'deleteDevice':
      return inTurn(deaf((loaded) => deleteDevice(loaded, call.request)))
    case 'dumpConntrack':
      return inTurn((loaded) => dumpConntrack(loaded, call.request))
    case 'deleteConntrack':
      return inTurn((loaded) => deleteConntrack(loaded, call.request.family, call.request.records))
    case 'ensureCounters':
      return inTurn((loaded) => ensureCounters(loaded, call.request))
    case 'readGeneration':
      return inTurn(readGeneration)
    case 'fingerprintChains':
      return inTurn((loaded) => fingerprintChains(loaded, call.request))
    case 'readCounters':
      return inTurn((loaded) => readCounters(loaded, call.request))
    default:
      return call satisfies never
  }
}

/** One after the other: many answers at once could overrun a receive buffer, and that aborts the process. */
function inTurn<T>(ask: (loaded: Netlink) => Promise<T>): Promise<T> {
  const turn = lastNetlinkCall.then(async () => ask(await load()))
  lastNetlinkCall = turn.catch(() => undefined)
  return turn
}

/** For what changes many addresses at once: it is no news, and could be too much of it. */
function deaf<T>(ask: (loaded: Netlink) => Promise<T>): (loaded: Netlink) => Promise<T> {
  return async (loaded) => {
    const watching = await watch
    return watching === undefined ? ask(loaded) : watching.deaf(() => ask(loaded))
  }
}

async function load(): Promise<Netlink> {
  try {
    return await netlink
  } catch (error) {
    const why = String(error).split('\n', 1)[0] ?? ''
    throw new NetlinkError('NO_NETLINK', `the netlink package can't be loaded on this platform: ${why}`)
  }
}

function failureOf(error: unknown): HandsFailure {
  if (error instanceof CommandError) {
    return { kind: 'command', argv: error.argv, failure: error.failure, stderr: error.stderr }
  }
  if (error instanceof NetlinkError) return { kind: 'netlink', code: error.code, message: error.message }
  return { kind: 'other', message: error instanceof Error ? error.message : String(error) }
}

function tell(message: HandsMessage): void {
  // Nobody listens any more when it fails, and 'disconnect' follows.
  if (process.connected) process.send?.(message, undefined, {}, () => undefined)
}

/** The main process is gone: so must be its files, every tool that still runs for it, and this process. */
function end(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  process.kill(-process.pid, 'SIGKILL')
}
