// ServicePorts whose rules the kernel refused. Each keeps what the kernel has of it, as a stand-in in the program, and is
// tried again later and whenever it changed, alone, so that it can't hold up the others.
import type { Chunk } from '../iptables/chunk.ts'
import type { Program } from '../iptables/program.ts'
import { ownerOf } from '../iptables/service.ts'
import type { ServicePort } from '../model/service-port.ts'

export interface Isolation {
  readonly owner: string
  /** What was refused. */
  readonly refused: ServicePort
  /** What stands in its place: the same to look at, with other rules. */
  readonly standIn: ServicePort
  readonly chunk: Chunk
  readonly failures: number
  /** On the syncer's clock, in milliseconds. */
  readonly retryAt: number
}

export interface Isolations {
  readonly add: (refused: ServicePort, chunk: Chunk) => Isolation
  readonly remove: (owner: string) => void
  /** The program with stand-ins for all but one owner; what is no longer in the program is forgotten. */
  readonly substitute: (program: Program, except?: string) => Program
  /** Those of the program that should be tried now. */
  readonly due: (program: Program) => readonly ServicePort[]
  readonly owners: () => readonly string[]
  /** Milliseconds until the next one is due; undefined without any. */
  readonly nextInMs: () => number | undefined
}

export function createIsolations(now: () => number): Isolations {
  const isolations = new Map<string, Isolation>()
  return {
    add: (refused, chunk) => {
      const owner = ownerOf(refused)
      const failures = (isolations.get(owner)?.failures ?? 0) + 1
      const retryAt = now() + Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS)
      const isolation = { owner, refused, standIn: { ...refused }, chunk, failures, retryAt }
      isolations.set(owner, isolation)
      return isolation
    },
    remove: (owner) => {
      isolations.delete(owner)
    },
    substitute: (program, except) => {
      if (isolations.size === 0) return program
      const present = new Set<string>()
      const kept = new Map<ServicePort, Chunk>()
      const servicePorts = program.servicePorts.map((servicePort) => {
        const isolation = isolations.get(ownerOf(servicePort))
        if (isolation === undefined) return servicePort
        present.add(isolation.owner)
        if (isolation.owner === except) return servicePort
        kept.set(isolation.standIn, isolation.chunk)
        return isolation.standIn
      })
      for (const owner of isolations.keys()) if (!present.has(owner)) isolations.delete(owner)
      return { ...program, servicePorts, kept }
    },
    due: (program) => {
      if (isolations.size === 0) return []
      return program.servicePorts.filter((servicePort) => {
        const isolation = isolations.get(ownerOf(servicePort))
        return isolation !== undefined && (isolation.refused !== servicePort || isolation.retryAt <= now())
      })
    },
    owners: () => [...isolations.keys()],
    nextInMs: () => {
      const times = [...isolations.values()].map(({ retryAt }) => retryAt)
      return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - now())
    },
  }
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 300_000
