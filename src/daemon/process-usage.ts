// What this process uses, for metrics and status pages.
import { readdirSync } from 'node:fs'

export interface ProcessUsage {
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly heapUsedBytes: number
  /** Absent where the system does not tell. */
  readonly openFiles?: number
  /** Unix time. */
  readonly startSeconds: number
}

export function readProcessUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed } = process.memoryUsage()
  const openFiles = countOpenFiles()
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: rss,
    heapUsedBytes: heapUsed,
    ...(openFiles !== undefined && { openFiles }),
    startSeconds: performance.timeOrigin / 1000,
  }
}

function countOpenFiles(): number | undefined {
  try {
    // The descriptor of the listing itself is one of them.
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return undefined
  }
}
