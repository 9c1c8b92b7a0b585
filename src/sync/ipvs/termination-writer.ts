// Deletes real servers whose connections have ended, or whose time is over.
import type { RealServerKey, VirtualServerKey } from '../../ipvs/virtual-server.ts'
import type { KernelPicture } from './picture.ts'
import type { ServerTask, ServerWriter } from './server-writer.ts'
import type { Terminations } from './terminations.ts'
import type { IpvsTools } from './tools.ts'

export interface Ended {
  /** The number of lines written. */
  readonly lines: number
  /** A real server that should be there is not: read the kernel. */
  readonly isSurprised: boolean
}

/** Looks at the virtual servers whose time for a look has come; asks for nothing when there are none. */
export async function endTerminations(
  task: ServerTask,
  terminations: Terminations,
  tools: Pick<IpvsTools, 'readServer' | 'readConnections'>,
  writer: Pick<ServerWriter, 'bring'>,
): Promise<Ended> {
  terminations.keepOnly(task.picture.servers)
  const due = terminations.due()
  if (due.length === 0) return { lines: 0, isSurprised: false }
  const overdue = new Map(due.map((key) => [key, terminations.overdue(key)] as const))
  const asked = due.filter((key) => terminations.of(key).some((real) => overdue.get(key)?.has(real) !== true))
  const counts = await readCounts(tools, task.picture, asked)
  const finished = new Map<VirtualServerKey, ReadonlySet<RealServerKey>>()
  for (const key of due) {
    const idle = terminations.of(key).filter((real) => counts.get(key)?.get(real) === 0)
    finished.set(key, new Set([...(overdue.get(key) ?? []), ...idle]))
    terminations.looked(key)
  }
  const isSurprised = asked.some((key) => terminations.of(key).some((real) => counts.get(key)?.has(real) !== true))
  const ended = due.filter((key) => (finished.get(key)?.size ?? 0) > 0)
  return { lines: await writer.bring(task, ended, finished), isSurprised }
}

/** Listing everything costs about as much as asking for one virtual server per 160 that there are. */
const SERVERS_PER_QUESTION = 160

async function readCounts(
  tools: Pick<IpvsTools, 'readServer' | 'readConnections'>,
  { servers }: KernelPicture,
  keys: readonly VirtualServerKey[],
) {
  if (keys.length > 1 + servers.size / SERVERS_PER_QUESTION) return tools.readConnections()
  const counts = new Map<VirtualServerKey, ReadonlyMap<RealServerKey, number>>()
  for (const key of keys) {
    const server = servers.get(key)
    const found = server && (await tools.readServer(server)).get(key)
    if (found !== undefined) counts.set(key, found)
  }
  return counts
}
