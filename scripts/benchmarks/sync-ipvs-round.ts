// One round of `scripts/bench sync --mode ipvs`, in the second kernel: one size. Prints its figures as JSON. Started by
// sync-ipvs.ts.
// The syncer works on compiled programs, with the helper process, tools and netlink that it has in an agent; the floors are
// the same tools, started by the same helper, with the smallest payload there is for the purpose.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type SupervisedHands, startHands } from '../../src/host/hands-client.ts'
import { keepHeapSmall } from '../../src/host/heap.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { type Counted, type CountedHands, countCalls } from '../laboratory/counted-hands.ts'
import { measureFloors, type WholeFloors } from '../laboratory/ipvs-floors.ts'
import { readUsage } from '../laboratory/node-agent.ts'
import { type ChurnRun, type IpvsChurn, measureChurn } from './sync-ipvs-churn.ts'
import { CONFIG, factsOfNode, snapshotOfSize, startBenchSyncer } from './sync-ipvs-cluster.ts'

export interface FirstSync extends Counted {
  readonly ms: number
  readonly lines: number
}

export interface IpvsRoundFigures {
  readonly services: number
  readonly compileMs: number
  readonly first: readonly FirstSync[]
  /** By a new process in the kernel that the last one left: everything is read, nothing written. */
  readonly restart: readonly FirstSync[]
  readonly floors: readonly WholeFloors[]
  readonly bareChangeMs: readonly number[]
  readonly churn: Readonly<Record<IpvsChurn, ChurnRun>>
  readonly mainMiB: number
  readonly mainPeakMiB: number
  readonly helperMiB: number
  readonly helperPeakMiB: number
}

/** Of one bare change of one real server, in the kernel with all virtual servers. */
const BARE_CHANGES = 21
const NEVER = new AbortController().signal
/** The kernel clears namespaces that are gone in its own time. */
const SETTLE_MS = 3_000

keepHeapSmall()
const { values } = parseArgs({
  options: { services: { type: 'string' }, starts: { type: 'string' }, changes: { type: 'string' } },
})
const figures = await runRound(Number(values.services), Number(values.starts), Number(values.changes))
console.log(JSON.stringify(figures))

async function runRound(services: number, starts: number, changes: number): Promise<IpvsRoundFigures> {
  const snapshot = snapshotOfSize(services)
  const before = performance.now()
  const program = compileIpvs(snapshot, CONFIG, factsOfNode(), 'ipv4')
  const compileMs = performance.now() - before
  const floors: WholeFloors[] = []
  const first: FirstSync[] = []
  for (let start = 0; start < starts; start += 1) {
    const bare = await startInFreshNode()
    floors.push(await measureFloors(bare, program))
    await bare.close()
    if (start < starts - 1) {
      const fresh = await startInFreshNode()
      first.push(await measureWhole(countCalls(fresh), program))
      await fresh.close()
    }
  }
  const hands = await startInFreshNode()
  const counted = countCalls(hands)
  first.push(await measureWhole(counted, program))
  const restart: FirstSync[] = []
  for (let start = 0; start < starts; start += 1) restart.push(await measureWhole(counted, program))
  const bareChangeMs: number[] = []
  for (let change = 0; change < BARE_CHANGES; change += 1) {
    const weight = String(1 + (change % 2))
    const argv = ['ipvsadm', '-e', '-t', '10.96.0.1:443', '-r', '192.168.1.1:6443', '-m', '-w', weight] as const
    const started = performance.now()
    await hands.run({ argv, timeoutMs: 60_000 })
    bareChangeMs.push(performance.now() - started)
  }
  const churn = await measureChurn({ counted, snapshot, services, changes, signal: NEVER })
  const { mainMiB, mainPeakMiB, helperMiB, helperPeakMiB } = readUsage(process.pid)
  await hands.close()
  const memory = { mainMiB, mainPeakMiB, helperMiB, helperPeakMiB }
  return { services, compileMs, first, restart, floors, bareChangeMs, churn, ...memory }
}

/**
 * A helper in a network namespace of its own. In one that held many real servers before, each new one would be looked for
 * among all that were deleted in the last two minutes, because the kernel keeps them for so long.
 */
async function startInFreshNode(): Promise<SupervisedHands> {
  await sleep(SETTLE_MS)
  return startHands({ inside: ['unshare', '--net'] })
}

async function measureWhole(counted: CountedHands, program: ReturnType<typeof compileIpvs>): Promise<FirstSync> {
  const syncer = startBenchSyncer(counted.hands, () => performance.now())
  counted.take()
  const started = performance.now()
  const { lines } = await syncer.sync(program, NEVER)
  const ms = performance.now() - started
  return { ms, lines, ...counted.take() }
}
