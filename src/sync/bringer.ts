// Brings the kernel to a program in spite of what may stand in the way: a lock that is held, a limit of time, and rules
// that the kernel refuses, whose ServicePorts are isolated so that they hold up nobody else.
import type { Chunk } from '../iptables/chunk.ts'
import { findOwner } from '../iptables/find-owner.ts'
import { createKeptChunks } from '../iptables/kept-chunk.ts'
import type { KernelText } from '../iptables/kernel-text.ts'
import type { Program } from '../iptables/program.ts'
import { ownerOf } from '../iptables/service.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Applied, Applier } from './applier.ts'
import { bringInGroups } from './in-groups.ts'
import type { Isolations } from './isolation.ts'
import { RestoreError } from './kernel-access.ts'
import type { SyncEvent } from './sync-event.ts'

export interface Bringer {
  /** Everything but what is isolated; isolates what is refused. Throws RestoreError, or what the Hands reject with. */
  readonly bringAll: (program: Program, signal: AbortSignal) => Promise<Applied>
  /** Isolated ServicePorts whose time has come, each alone, after everything else stands; the number of lines. */
  readonly retryDue: (program: Program, signal: AbortSignal) => Promise<number>
}

export interface BringerLimits {
  /** Chains at a time when everything at once takes too long; a Service with 5 endpoints has 6. */
  readonly batchSize: number
  /** How often a lock that is held is asked for before the sync fails; each time waits for 5 seconds. */
  readonly lockAttempts: number
}

export interface BringerParts {
  readonly applier: Applier
  readonly isolations: Isolations
  readonly limits: BringerLimits
  readonly onEvent: (event: SyncEvent) => void
}

/** Refusals that nobody is to blame for: somebody else may have changed the rules between reading and writing. */
const READ_AGAIN = 2

export function createBringer(parts: BringerParts): Bringer {
  const { applier, isolations } = parts
  return {
    bringAll: async (program, signal) => {
      const course: Course = { locked: 0, blameless: 0 }
      for (;;) {
        signal.throwIfAborted()
        // When somebody else changed the rules, a change of what is believed may be refused without any Service's fault.
        const isGuess = applier.guesses(program)
        const possible = isolations.substitute(program)
        try {
          return await applier.bring(possible, course.kernel && { kernel: course.kernel })
        } catch (error) {
          delete course.kernel
          if (!(error instanceof RestoreError) || error.failure.kind === 'other') throw error
          const applied = await overcome({ error, isGuess, program, possible, signal }, course, parts)
          if (applied !== undefined) return applied
        }
      }
    },
    retryDue: async (program, signal) => {
      let lines = 0
      for (const servicePort of isolations.due(program)) {
        signal.throwIfAborted()
        lines += await retry(servicePort, program, parts)
      }
      return lines
    },
  }
}

/** What one attempt after the other has met with. */
interface Course {
  locked: number
  blameless: number
  /** What was read after the last failure. */
  kernel?: KernelText
}

interface FailedAttempt {
  readonly error: RestoreError
  readonly isGuess: boolean
  readonly program: Program
  /** The program without what is isolated. */
  readonly possible: Program
  readonly signal: AbortSignal
}

/** Undefined when the next attempt may succeed; throws the error when there is nothing left to try. */
async function overcome(
  { error, isGuess, program, possible, signal }: FailedAttempt,
  course: Course,
  parts: BringerParts,
): Promise<Applied | undefined> {
  const { applier, isolations, limits, onEvent } = parts
  const { failure } = error
  onEvent({ kind: 'restore failed', error })
  if (failure.kind === 'locked') {
    course.locked += 1
    if (course.locked >= limits.lockAttempts) throw error
    return undefined
  }
  if (failure.kind === 'timeout') {
    onEvent({ kind: 'in batches', error })
    const onBatch = () => {
      signal.throwIfAborted()
      onEvent({ kind: 'batch' })
    }
    return comparedAll(await applier.bringInBatches(possible, error.change, { size: limits.batchSize, onBatch }))
  }
  if (isGuess) return undefined
  const owners = ownersOf(error, program, isolations)
  if (owners.length > 0) {
    course.kernel = await applier.read()
    const keep = createKeptChunks(course.kernel)
    for (const owner of owners) isolate(owner, keep(owner), error, parts)
    return undefined
  }
  course.blameless += 1
  if (course.blameless <= READ_AGAIN) return undefined
  return comparedAll(
    await bringInGroups(applier, isolations, program, {
      onGroup: () => signal.throwIfAborted(),
      onIsolated: (servicePort, chunk, reason) => isolate(servicePort, chunk, reason, parts),
    }),
  )
}

async function retry(servicePort: ServicePort, program: Program, parts: BringerParts): Promise<number> {
  const { applier, isolations, onEvent } = parts
  const owner = ownerOf(servicePort)
  try {
    const { lines } = await applier.bring(isolations.substitute(program, owner))
    isolations.remove(owner)
    onEvent({ kind: 'reinstated', owner })
    return lines
  } catch (error) {
    if (!(error instanceof RestoreError) || error.failure.kind !== 'refused') throw error
    isolate(servicePort, createKeptChunks(await applier.read())(servicePort), error, parts)
    return 0
  }
}

function isolate(
  servicePort: ServicePort,
  chunk: Chunk,
  error: RestoreError,
  { isolations, onEvent }: BringerParts,
): void {
  isolations.add(servicePort, chunk)
  onEvent({ kind: 'isolated', owner: ownerOf(servicePort), error })
}

/** Who in the program is named by the failure; those that are isolated already are not. */
function ownersOf(error: RestoreError, program: Program, isolations: Isolations): readonly ServicePort[] {
  const isolated = new Set(isolations.owners())
  const owners = new Set(error.lines.map((line) => findOwner(program, line)))
  return [...owners].filter((owner) => owner !== undefined).filter((owner) => !isolated.has(ownerOf(owner)))
}

function comparedAll(lines: number): Applied {
  return { lines, compared: true, drift: [] }
}
