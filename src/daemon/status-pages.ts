// The texts of /statusz and /flagz: for people, in no fixed format.
import type { ProxyMode } from '../model/config.ts'
import type { ProcessUsage } from './process-usage.ts'

export interface Status {
  /** Of sluice. */
  readonly version: string
  /** The kube-proxy whose behaviour this is. */
  readonly emulates: string
  readonly runtime: string
  readonly mode: ProxyMode
  readonly nodeName: string
  /** RFC 3339. */
  readonly started: string
  readonly upSeconds: number
  readonly usage: ProcessUsage
  /** Pages of this listener. */
  readonly paths: readonly string[]
  /** Further lines: families, sources, last syncs. */
  readonly more?: ReadonlyMap<string, string>
}

const NOTE = 'For people to read; its form may change at any time.'

export function printStatus(status: Status): string {
  const lines: readonly (readonly [string, string])[] = [
    ['Started', status.started],
    ['Up', formatUptime(status.upSeconds)],
    ['Version', status.version],
    ['Behaves as', `kube-proxy ${status.emulates}`],
    ['Runtime', status.runtime],
    ['Mode', status.mode],
    ['Node', status.nodeName],
    ['Resident memory', `${(status.usage.residentBytes / 2 ** 20).toFixed(1)} MiB`],
    ['Processor time', `${status.usage.cpuSeconds.toFixed(1)} s`],
    ...(status.more ?? []),
    ['Paths', status.paths.join(' ')],
  ]
  return `\nkube-proxy statusz (sluice)\n${NOTE}\n\n${lines.map(([name, value]) => `${name}: ${value}\n`).join('')}`
}

/** Flags with the values that hold, sorted by name. */
export function printFlags(flags: ReadonlyMap<string, string>): string {
  const lines = [...flags].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}=${value}\n`)
  return `\nkube-proxy flags (sluice)\n${NOTE}\n\n${lines.join('')}`
}

function formatUptime(seconds: number): string {
  const whole = Math.floor(seconds)
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min ${whole % 60} s`
}
