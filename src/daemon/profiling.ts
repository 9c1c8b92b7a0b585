// /debug/pprof for a Node process: a CPU profile and a heap snapshot, in the formats that Chrome's developer tools open.
// Go's other profiles have no counterpart here.

import { Session } from 'node:inspector/promises'
import { Readable } from 'node:stream'
import { getHeapSnapshot } from 'node:v8'
import type { Clock } from '../kube/api/clock.ts'
import { type PageRequest, type Reply, textReply } from './http-reply.ts'

const DEFAULT_SECONDS = 30
const LONGEST_SECONDS = 300

const INDEX = `/debug/pprof/profile?seconds=${DEFAULT_SECONDS}  CPU profile; save it as NAME.cpuprofile
/debug/pprof/heap  heap snapshot; save it as NAME.heapsnapshot. The proxy stands still meanwhile and needs twice its memory
`

let profiling = false

export async function answerProfile({ path, query }: PageRequest, clock: Clock): Promise<Reply> {
  switch (path) {
    case '/debug/pprof':
    case '/debug/pprof/':
      return textReply(200, INDEX)
    case '/debug/pprof/profile':
      return await profileCpu(query.get('seconds') ?? String(DEFAULT_SECONDS), clock)
    case '/debug/pprof/heap':
      return binary(getHeapSnapshot())
    default:
      return textReply(404, `${path.slice(0, 200)} is a profile of Go programs, which sluice is not\n\n${INDEX}`)
  }
}

async function profileCpu(secondsText: string, clock: Clock): Promise<Reply> {
  const seconds = Number(secondsText)
  if (!(seconds > 0 && seconds <= LONGEST_SECONDS)) {
    return textReply(400, `seconds=${JSON.stringify(secondsText)}: use a number up to ${LONGEST_SECONDS}\n`)
  }
  if (profiling) return textReply(409, 'a CPU profile is being taken already: wait until it ends\n')
  profiling = true
  const session = new Session()
  try {
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
    await new Promise<void>((resolve) => {
      clock.after(seconds * 1000, resolve)
    })
    const { profile } = await session.post('Profiler.stop')
    return binary(JSON.stringify(profile))
  } finally {
    session.disconnect()
    profiling = false
  }
}

function binary(body: string | Readable): Reply {
  return { status: 200, headers: [['Content-Type', 'application/octet-stream']], body }
}
