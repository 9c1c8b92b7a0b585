// One round of the sync benchmark, inside a network namespace of its own: one size, one variant. Prints its figures as
// JSON. Started by sync.bench.ts.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { IptablesVariant } from '../../src/sync/variant.ts'
import { type ApiDouble, startApiDouble } from '../laboratory/api-double-client.ts'
import { type KernelCommits, watchCommits } from '../laboratory/kernel-commits.ts'
import { type LogLine, type NodeAgent, startNodeAgent, type Usage } from '../laboratory/node-agent.ts'
import {
  chainsOfService,
  chainsPayload,
  clearTables,
  flushTables,
  readTable,
  rulesOf,
  timeRestore,
  wholePayload,
} from '../laboratory/restore.ts'
import { median } from './measure.ts'
import { CHURNS, type Churn, churnWrites, clusterIpOf } from './sync-churn.ts'

export interface WholeFigures {
  /** From the request for the first list to the log line that all is programmed, in ms. */
  readonly listToProgrammed: readonly number[]
  /** From the start of the process to the same. */
  readonly startToProgrammed: readonly number[]
  /** What the agent says that applying took: from the printed payload to the end of the restore command. */
  readonly apply: readonly number[]
  /** The same with reading, comparing and printing. */
  readonly sync: readonly number[]
  readonly floor: readonly number[]
  readonly lines: number
}

export interface RoundFigures {
  readonly services: number
  readonly variant: IptablesVariant
  readonly coldStart: WholeFigures
  readonly afterFlush: WholeFigures
  readonly usageCold: Usage
  readonly usageEnd: Usage
  readonly churn: readonly ChurnFigures[]
}

export interface ChurnFigures {
  readonly churn: Churn
  /** From the event to the kernel's commit, in ms. */
  readonly times: readonly number[]
  readonly lines: number
  readonly floor: readonly number[]
  /** The same change with all of KUBE-SERVICES, as kube-proxy writes it. */
  readonly kubeProxyWay: readonly number[]
  /** Per change, in seconds. */
  readonly mainCpu: number
  readonly childCpu: number
}

export interface RoundOptions {
  readonly services: number
  readonly variant: IptablesVariant
  readonly starts: number
  readonly changes: number
}

/** Milliseconds without a commit after which a change is over; legacy takes a second for each at the largest size. */
const QUIET_MS = { nft: 400, legacy: 1_500 }
const LONGEST_WAIT_MS = 30_000
const FLOORS = 7

const LOCK = `/tmp/sluice-bench-xtables-${process.pid}.lock`

export async function runRound(options: RoundOptions): Promise<RoundFigures> {
  const { services, variant, starts } = options
  process.env['XTABLES_LOCKFILE'] = LOCK
  spawnSync('ip', ['link', 'set', 'lo', 'up'])
  const api = startApiDouble()
  try {
    const { url } = await api.fill(services)
    const cold: ColdStart[] = []
    let agent: NodeAgent | undefined
    for (let start = 0; start < starts; start += 1) {
      await agent?.stop()
      clearTables(variant)
      agent = startNodeAgent({ server: url, variant })
      cold.push(await coldStart(agent, api))
    }
    if (agent === undefined) throw new Error('at least one start is needed')
    const usageCold = agent.usage()
    const flushed: LogLine[] = []
    for (let start = 0; start < starts; start += 1) flushed.push(await flush(agent, variant))
    const commits = await watchCommits(variant)
    const churned: Measured[] = []
    for (const churn of CHURNS) churned.push(await measureChurn(churn, options, { agent, api, commits }))
    await commits.stop()
    const usageEnd = agent.usage()
    await agent.stop()
    const churn = churned.map((figures) => ({ ...figures, ...measureFloors(figures.churn, variant) }))
    const floors = measureWholeFloors(variant, wholePayload(variant, await api.objects()), starts)
    return {
      services,
      variant,
      coldStart: {
        listToProgrammed: cold.map(({ listToProgrammed }) => listToProgrammed),
        startToProgrammed: cold.map(({ startToProgrammed }) => startToProgrammed),
        apply: cold.map(({ line }) => numberOf(line, 'restoreMs')),
        sync: cold.map(({ line }) => numberOf(line, 'ms')),
        floor: floors.empty,
        lines: numberOf(cold.at(-1)?.line, 'lines'),
      },
      afterFlush: {
        listToProgrammed: [],
        startToProgrammed: [],
        apply: flushed.map((line) => numberOf(line, 'restoreMs')),
        sync: flushed.map((line) => numberOf(line, 'ms')),
        floor: floors.flushed,
        lines: numberOf(flushed.at(-1), 'lines'),
      },
      usageCold,
      usageEnd,
      churn,
    }
  } finally {
    await api.close()
    rmSync(LOCK, { force: true })
  }
}

interface ColdStart {
  readonly listToProgrammed: number
  readonly startToProgrammed: number
  readonly line: LogLine
}

async function coldStart(agent: NodeAgent, api: ApiDouble): Promise<ColdStart> {
  const line = await agent.waitFor(isSyncLine)
  const listed = await api.firstList()
  if (listed === undefined) throw new Error('the agent synced without a list')
  return { listToProgrammed: line.at - listed, startToProgrammed: line.at - agent.started, line }
}

async function flush(agent: NodeAgent, variant: IptablesVariant): Promise<LogLine> {
  const seen = agent.lines.length
  flushTables(variant)
  return agent.waitFor((line) => isSyncLine(line) && numberOf(line, 'lines') > 100, seen)
}

/** That IPv4 was programmed. */
function isSyncLine({ fields }: LogLine): boolean {
  return fields['msg'] === 'synced rules' && fields['family'] === 'IPv4'
}

function numberOf(line: LogLine | undefined, field: string): number {
  const value = line?.fields[field]
  return typeof value === 'number' ? value : Number.NaN
}

type Measured = Omit<ChurnFigures, 'floor' | 'kubeProxyWay'>

interface Running {
  readonly agent: NodeAgent
  readonly api: ApiDouble
  readonly commits: KernelCommits
}

async function measureChurn(churn: Churn, options: RoundOptions, running: Running): Promise<Measured> {
  const { agent, api, commits } = running
  const times: number[] = []
  const lines: number[] = []
  const before = agent.usage()
  for (let number = 0; number < options.changes; number += 1) {
    await untilQuiet(commits, options.variant)
    const seen = agent.lines.length
    const committed = commits.times.length
    const sent = await api.write(...churnWrites(churn, number, options))
    for (let waited = 0; commits.times.length === committed; waited += 5) {
      if (waited > LONGEST_WAIT_MS) throw new Error(`${churn}: the kernel saw nothing in ${LONGEST_WAIT_MS} ms`)
      await sleep(5)
    }
    await untilQuiet(commits, options.variant)
    times.push((commits.times.at(-1) ?? Number.NaN) - sent)
    const synced = agent.lines.slice(seen).filter(isSyncLine)
    lines.push(synced.reduce((sum, line) => sum + numberOf(line, 'lines'), 0))
  }
  const after = agent.usage()
  return {
    churn,
    times,
    lines: median(lines),
    mainCpu: (after.mainCpu - before.mainCpu) / options.changes,
    childCpu: (after.childCpu - before.childCpu) / options.changes,
  }
}

async function untilQuiet({ times }: KernelCommits, variant: IptablesVariant): Promise<void> {
  for (let seen = -1; seen !== times.length; ) {
    seen = times.length
    await sleep(QUIET_MS[variant])
  }
}

/** The smallest payload for a change, and that payload with all of KUBE-SERVICES, in the kernel that the agent left. */
function measureFloors(churn: Churn, variant: IptablesVariant): Pick<ChurnFigures, 'floor' | 'kubeProxyWay'> {
  const saved = readTable(variant, 'nat')
  const ip = clusterIpOf(1)
  const chains = chainsOfService(saved, ip)
  const entry = rulesOf(saved, ['KUBE-SERVICES']).filter((line) => line.includes(` -d ${ip}/32 `))
  const gone = entry.map((line) => line.replace(/^-A/, '-D'))
  const back = entry.map((line) => line.replace(/^-A KUBE-SERVICES/, '-I KUBE-SERVICES 1'))
  const rewritten = chainsPayload(saved, chains)
  const added = rewritten.replace('\nCOMMIT\n', `\n${back.join('\n')}\nCOMMIT\n`)
  const heads = chains.map((chain) => `:${chain} - [0:0]`)
  const deleted = ['*nat', ...heads, ...gone, ...chains.map((chain) => `-X ${chain}`), 'COMMIT', ''].join('\n')
  const whole = chainsPayload(saved, ['KUBE-SERVICES', ...chains])
  const floor: number[] = []
  for (let run = 0; run < FLOORS; run += 1) {
    if (churn === 'endpoint changed') floor.push(timeRestore(variant, rewritten))
    else {
      const deleting = timeRestore(variant, deleted)
      const adding = timeRestore(variant, added)
      floor.push(churn === 'Service added' ? adding : deleting)
    }
  }
  return { floor, kubeProxyWay: Array.from({ length: 3 }, () => timeRestore(variant, whole)) }
}

/** Everything in one payload: into empty tables, and into tables that were flushed. */
function measureWholeFloors(
  variant: IptablesVariant,
  payload: string,
  runs: number,
): { empty: number[]; flushed: number[] } {
  const empty: number[] = []
  const flushed: number[] = []
  for (let run = 0; run < runs; run += 1) {
    clearTables(variant)
    empty.push(timeRestore(variant, payload))
    flushTables(variant)
    flushed.push(timeRestore(variant, payload))
  }
  return { empty, flushed }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
