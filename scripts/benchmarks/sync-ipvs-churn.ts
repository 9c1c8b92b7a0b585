// The single changes of the benchmark of IPVS mode.
import type { ServiceEntry, Snapshot } from '../../src/index.ts'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import type { Counted, CountedHands } from '../laboratory/counted-hands.ts'
import { generateOne } from './cluster.ts'
import { CONFIG, entryOf, factsOfNode, startBenchSyncer, withEntry } from './sync-ipvs-cluster.ts'

/** What is measured in turn in one kernel, by name. */
export const CHURN_GROUPS = {
  endpoint: ['endpoint replaced', 'real server ended'],
  'endpoint-here': ['endpoint here replaced'],
  service: ['Service added', 'Service deleted'],
} as const
export type ChurnGroup = keyof typeof CHURN_GROUPS
export type IpvsChurn = (typeof CHURN_GROUPS)[ChurnGroup][number]

export const GROUP_NAMES = Object.keys(CHURN_GROUPS) as readonly ChurnGroup[]
export const IPVS_CHURNS: readonly IpvsChurn[] = GROUP_NAMES.flatMap((name) => CHURN_GROUPS[name])

/** One change. */
export interface MeasuredChange {
  readonly churn: IpvsChurn
  /** From compiled program to programmed. */
  readonly ms: number
  /** From Snapshot to compiled program. */
  readonly compileMs: number
  readonly lines: number
  readonly counted: Counted
}

export interface ChurnTask {
  readonly counted: CountedHands
  readonly snapshot: Snapshot
  readonly services: number
  /** Of each kind. */
  readonly changes: number
  readonly signal: AbortSignal
}

type Measure = (churn: IpvsChurn, entry?: ServiceEntry | string) => Promise<void>

interface Churning {
  readonly measure: Measure
  /** Lets time pass; what is due then is done, and not measured. */
  readonly passTime: (isSynced: boolean) => Promise<void>
}

/** Enough for the first look at a real server that ends: its connections are none, so it goes. */
const LATER_MS = 5_000
/** Every 20th Service has a node port; these have none. */
const PLAIN = 20

/** In a kernel that has the Snapshot. */
export async function measureChurn(group: ChurnGroup, task: ChurnTask): Promise<readonly MeasuredChange[]> {
  const measured: MeasuredChange[] = []
  const churning = await startChurning(task, (change) => measured.push(change))
  for (let change = 0; change < task.changes; change += 1) await CHANGE[group](churning, task, change)
  return measured
}

async function startChurning(task: ChurnTask, tell: (change: MeasuredChange) => void): Promise<Churning> {
  const { counted, signal } = task
  let skipped = 0
  let { snapshot } = task
  const syncer = startBenchSyncer(counted.hands, () => performance.now() + skipped)
  const compile = createIpvsCompiler(CONFIG, factsOfNode(), 'ipv4')
  await syncer.sync(compile(snapshot), signal)
  return {
    measure: async (churn, entry) => {
      if (entry !== undefined) snapshot = withEntry(snapshot, entry)
      const before = performance.now()
      const program = compile(snapshot)
      const started = performance.now()
      counted.take()
      const { lines } = await syncer.sync(program, signal)
      const ms = performance.now() - started
      tell({ churn, ms, compileMs: started - before, lines, counted: counted.take() })
    },
    passTime: async (isSynced) => {
      skipped += LATER_MS
      if (isSynced) await syncer.sync(compile(snapshot), signal)
    },
  }
}

const CHANGE: Readonly<Record<ChurnGroup, (churning: Churning, task: ChurnTask, change: number) => Promise<void>>> = {
  endpoint: async ({ measure, passTime }, task, change) => {
    await measure('endpoint replaced', withEndpoint(numberOf(task, change), 0, change))
    await passTime(false)
    await measure('real server ended')
  },
  'endpoint-here': async ({ measure, passTime }, task, change) => {
    await measure('endpoint here replaced', withEndpoint(numberOf(task, change), 1, change))
    await passTime(true)
  },
  service: async ({ measure }, { services }, change) => {
    const added = entryOf(generateOne(services + PLAIN * change + 1))
    await measure('Service added', added)
    await measure('Service deleted', added.key)
  },
}

/** Of a Service; those that change are spread over all. */
function numberOf({ services, changes }: ChurnTask, change: number): number {
  return Math.floor(((change + 1) * services) / (changes + 2))
}

/** The Service with another pod in place of its `index`th. Pod 1 of each Service is on this node. */
function withEndpoint(number: number, index: number, change: number): ServiceEntry {
  const entry = entryOf(generateOne(number))
  const ip = `10.25${index}.${change >> 8}.${change & 255}`
  return {
    ...entry,
    slices: entry.slices.map((slice) => ({
      ...slice,
      endpoints: slice.endpoints.map((endpoint, place) =>
        place === index ? { ...endpoint, ip: ip as typeof endpoint.ip } : endpoint,
      ),
    })),
  }
}
