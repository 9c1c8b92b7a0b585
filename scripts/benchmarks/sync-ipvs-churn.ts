// The single changes of the benchmark of IPVS mode.
import type { ServiceEntry, Snapshot } from '../../src/index.ts'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import type { Counted, CountedHands } from '../laboratory/counted-hands.ts'
import { generateOne } from './cluster.ts'
import { CONFIG, entryOf, factsOfNode, startBenchSyncer, withEntry } from './sync-ipvs-cluster.ts'

export const IPVS_CHURNS = [
  'endpoint replaced',
  'endpoint here replaced',
  'real server ended',
  'Service added',
  'Service deleted',
] as const
export type IpvsChurn = (typeof IPVS_CHURNS)[number]

export interface ChurnRun {
  /** From compiled program to programmed. */
  readonly times: readonly number[]
  /** Of the same changes, from Snapshot to compiled program. */
  readonly compiling: readonly number[]
  readonly lines: readonly number[]
  readonly counted: readonly Counted[]
}

export interface ChurnTask {
  readonly counted: CountedHands
  readonly snapshot: Snapshot
  readonly services: number
  readonly changes: number
  readonly signal: AbortSignal
}

/** Enough for the first look at a real server that ends: its connections are none, so it goes. */
const LATER_MS = 5_000
/** Every 20th Service has a node port; these have none. */
const PLAIN = 20

export async function measureChurn(task: ChurnTask): Promise<Readonly<Record<IpvsChurn, ChurnRun>>> {
  const { counted, services, changes, signal } = task
  let skipped = 0
  const syncer = startBenchSyncer(counted.hands, () => performance.now() + skipped)
  const compile = createIpvsCompiler(CONFIG, factsOfNode(), 'ipv4')
  const runs = Object.fromEntries(
    IPVS_CHURNS.map((churn) => [churn, { times: [], compiling: [], lines: [], counted: [] }]),
  ) as unknown as Record<IpvsChurn, { times: number[]; compiling: number[]; lines: number[]; counted: Counted[] }>
  let snapshot = task.snapshot
  await syncer.sync(compile(snapshot), signal)

  const measure = async (churn: IpvsChurn, entry?: ServiceEntry | string) => {
    const run = runs[churn]
    if (entry !== undefined) snapshot = withEntry(snapshot, entry)
    const before = performance.now()
    const program = compile(snapshot)
    const started = performance.now()
    counted.take()
    const { lines } = await syncer.sync(program, signal)
    run.times.push(performance.now() - started)
    run.compiling.push(started - before)
    run.lines.push(lines)
    run.counted.push(counted.take())
  }

  for (let change = 0; change < changes; change += 1) {
    const number = Math.floor(((change + 1) * services) / (changes + 2))
    await measure('endpoint replaced', withEndpoint(number, 0, change))
    skipped += LATER_MS
    await measure('real server ended')
    await measure('endpoint here replaced', withEndpoint(number, 1, change))
    skipped += LATER_MS
    await syncer.sync(compile(snapshot), signal)
    const added = entryOf(generateOne(services + PLAIN * change + 1))
    await measure('Service added', added)
    await measure('Service deleted', added.key)
  }
  return runs
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
