// One part of `scripts/bench sync --mode ipvs`, in a second kernel that has just started: the floor of one size, or a first
// sync and one group of changes after it. Prints its figures as JSON. Started by sync-ipvs.ts.
// The kernel keeps each deleted real server for two minutes and looks among all of them whenever one is added, and clears
// namespaces in its own time, so that nothing can be measured where another thousand real servers were before.
// The syncer works on compiled programs, with the helper process, tools and netlink that it has in an agent; the floors are
// the same tools, started by the same helper, with the smallest payload there is for the purpose.
import { parseArgs } from 'node:util'
import { type SupervisedHands, startHands } from '../../src/host/hands-client.ts'
import { keepHeapSmall } from '../../src/host/heap.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import type { IpvsProgram } from '../../src/ipvs/program.ts'
import { type Counted, type CountedHands, countCalls } from '../laboratory/counted-hands.ts'
import { measureFloors, type WholeFloors } from '../laboratory/ipvs-floors.ts'
import { readUsage } from '../laboratory/node-agent.ts'
import { type ChurnGroup, GROUP_NAMES, type MeasuredChange, measureChurn } from './sync-ipvs-churn.ts'
import { CONFIG, factsOfNode, snapshotOfSize, startBenchSyncer } from './sync-ipvs-cluster.ts'

export interface FirstSync extends Counted {
  readonly ms: number
  readonly lines: number
}

export interface SyncFigures {
  readonly compileMs: number
  readonly first: FirstSync
  /** By a new syncer in the kernel that the first one left: everything is read, nothing written. */
  readonly restart: FirstSync
  /** Of one bare change of one real server, in the kernel with all virtual servers: before and after the changes. */
  readonly bareChangeMs: readonly number[]
  readonly changes: readonly MeasuredChange[]
  readonly mainMiB: number
  readonly mainPeakMiB: number
  readonly helperMiB: number
  readonly helperPeakMiB: number
}

const BARE_CHANGES = 12
const NEVER = new AbortController().signal

keepHeapSmall()
const { values } = parseArgs({
  options: { services: { type: 'string' }, changes: { type: 'string' }, part: { type: 'string' } },
})
const services = Number(values.services)
const group = GROUP_NAMES.find((name) => name === values.part)
const hands = await startHands()
const figures = group === undefined ? await measureFloor(hands) : await measureSync(hands, group)
await hands.close()
console.log(JSON.stringify(figures))

async function measureFloor(bare: SupervisedHands): Promise<WholeFloors> {
  return measureFloors(bare, compileIpvs(snapshotOfSize(services), CONFIG, factsOfNode(), 'ipv4'))
}

async function measureSync(working: SupervisedHands, changing: ChurnGroup): Promise<SyncFigures> {
  const snapshot = snapshotOfSize(services)
  const before = performance.now()
  const program = compileIpvs(snapshot, CONFIG, factsOfNode(), 'ipv4')
  const compileMs = performance.now() - before
  const counted = countCalls(working)
  const first = await measureWhole(counted, program)
  const restart = await measureWhole(counted, program)
  const bareBefore = await measureBareChanges(working)
  const task = { counted, snapshot, services, changes: Number(values.changes), signal: NEVER }
  const changes = await measureChurn(changing, task)
  const bareChangeMs = [...bareBefore, ...(await measureBareChanges(working))]
  const { mainMiB, mainPeakMiB, helperMiB, helperPeakMiB } = readUsage(process.pid)
  return { compileMs, first, restart, bareChangeMs, changes, mainMiB, mainPeakMiB, helperMiB, helperPeakMiB }
}

/** Of the weight of the kubernetes Service's real server; an even number of them, so that it is 1 again in the end. */
async function measureBareChanges(working: SupervisedHands): Promise<readonly number[]> {
  const times: number[] = []
  for (let change = 0; change < BARE_CHANGES; change += 1) {
    const weight = String(2 - (change % 2))
    const argv = ['ipvsadm', '-e', '-t', '10.96.0.1:443', '-r', '192.168.1.1:6443', '-m', '-w', weight] as const
    const started = performance.now()
    await working.run({ argv, timeoutMs: 60_000 })
    times.push(performance.now() - started)
  }
  return times
}

async function measureWhole(counted: CountedHands, program: IpvsProgram): Promise<FirstSync> {
  const syncer = startBenchSyncer(counted.hands, () => performance.now())
  counted.take()
  const started = performance.now()
  const { lines } = await syncer.sync(program, NEVER)
  const ms = performance.now() - started
  return { ms, lines, ...counted.take() }
}
