// What has to change so that a virtual server of the kernel becomes the desired one, as lines of `ipvsadm -R`:
// 1. It is edited in place, so its connections stay; only one that nobody wants is deleted.
// 2. Real servers are added before others are taken away, so that there is always one for a new connection.
// 3. A TCP real server that is not wanted any more gets weight 0 and stays: it finishes its connections and gets no
//    new ones. Without connections to finish (UDP), or that can be told to have ended (SCTP), it is deleted at once, as
//    by kube-proxy.
// 4. sh and mh choose by a hash, and refuse a client whose hash comes to a real server of weight 0 (Linux 6.1: connection
//    refused), unless a flag makes them look further. They have it while a real server finishes its connections, and not
//    afterwards: what stays is what kube-proxy makes. dh has no such flag, and takes all clients of an address to one real
//    server, so that nobody new would be served until the last connection ends: its real servers are deleted at once.
import {
  addRealServerLine,
  addServerLine,
  deleteRealServerLine,
  deleteServerLine,
  editRealServerLine,
  editServerLine,
  virtualServerOptions,
} from './print.ts'
import { fallbackFlag, servesBesideQuiet } from './schedulers.ts'
import { type RealServer, type RealServerKey, realServerKey, type VirtualServer } from './virtual-server.ts'

export interface ServerDiff {
  /** For `ipvsadm -R`, in this order; none when the kernel has what is desired. */
  readonly lines: readonly string[]
  /** What the kernel has when it took the lines; the desired object itself when it is no more than that. */
  readonly after?: VirtualServer
  /** Real servers that finish their connections: of weight 0, and part of `after`. */
  readonly terminating: readonly RealServer[]
}

/** Either side may be missing. `finished` are real servers that may go if nobody wants them. */
export function diffVirtualServer(
  desired: VirtualServer | undefined,
  present: VirtualServer | undefined,
  finished: ReadonlySet<RealServerKey> = NONE,
): ServerDiff {
  if (desired === present) return { lines: [], ...(desired && { after: desired }), terminating: [] }
  // kube-proxy deletes it too, and that cuts its connections. It can't wait for them to end: the address may be another
  // machine's already, and a node port another process's, and a virtual server would keep packets from both.
  if (desired === undefined) return { lines: present === undefined ? [] : [deleteServerLine(present)], terminating: [] }
  if (present === undefined) return { lines: addAll(desired), after: desired, terminating: [] }
  return changeServer(desired, present, finished)
}

const NONE: ReadonlySet<RealServerKey> = new Set()

function addAll(desired: VirtualServer): readonly string[] {
  return [addServerLine(desired), ...desired.realServers.map((real) => addRealServerLine(desired, real))]
}

function changeServer(
  desired: VirtualServer,
  present: VirtualServer,
  finished: ReadonlySet<RealServerKey>,
): ServerDiff {
  const lines: string[] = []
  const left = new Map(present.realServers.map((real) => [realServerKey(real), real]))
  for (const real of desired.realServers) {
    const key = realServerKey(real)
    const known = left.get(key)
    left.delete(key)
    if (known === undefined) lines.push(addRealServerLine(desired, real))
    else if (known.weight !== real.weight) lines.push(editRealServerLine(desired, real))
  }
  const terminating: RealServer[] = []
  for (const [key, real] of left) {
    if (!finishesConnections(desired) || finished.has(key)) lines.push(deleteRealServerLine(desired, real))
    else {
      const quiet = { ...real, weight: 0 }
      if (real.weight !== 0) lines.push(editRealServerLine(desired, quiet))
      terminating.push(quiet)
    }
  }
  const after = terminating.length === 0 ? desired : withTerminating(desired, terminating)
  if (virtualServerOptions(after) === virtualServerOptions(present)) return { lines, after, terminating }
  const edit = editServerLine(after)
  // The flag is there before the first weight is 0, and until the last is gone.
  return { lines: terminating.length === 0 ? [...lines, edit] : [edit, ...lines], after, terminating }
}

function finishesConnections({ protocol, scheduler }: VirtualServer): boolean {
  return protocol === 'tcp' && servesBesideQuiet(scheduler)
}

function withTerminating(desired: VirtualServer, terminating: readonly RealServer[]): VirtualServer {
  const flag = fallbackFlag(desired.scheduler)
  return {
    ...desired,
    // In the order in which ipvsadm prints them.
    schedulerFlags: flag === undefined ? desired.schedulerFlags : [flag, ...desired.schedulerFlags],
    realServers: [...desired.realServers, ...terminating],
  }
}
