// Soak test, started by scripts/soak in a network namespace of its own: a real `sluice run`, 50 changes a second, faults
// of the API server, of the helper process and of the kernel's rules. Every five minutes changes and faults stop until the
// kernel is what the API server holds. It fails when that takes too long, when damage was not repaired as damage, when
// memory or open files grow, and when a process, socket or file is left.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { IptablesVariant } from '../src/sync/variant.ts'
import { median, printTable } from './benchmarks/measure.ts'
import { type ApiDouble, startApiDouble } from './laboratory/api-double-client.ts'
import { monotonicMs } from './laboratory/clock.ts'
import { compareKernel } from './laboratory/kernel-state.ts'
import { childrenOf, type NodeAgent, startNodeAgent, type Usage } from './laboratory/node-agent.ts'
import { clearTables } from './laboratory/restore.ts'
import { createSoakChanges, SERVICES } from './laboratory/soak-changes.ts'
import { FAULTS } from './laboratory/soak-faults.ts'
import {
  fitGrowth,
  isGrowing,
  type LoggedSync,
  processesHere,
  repairTimes,
  socketsHere,
} from './laboratory/soak-verdict.ts'

const CHANGES_A_SECOND = 50
const TICK_MS = 20
const FAULT_EVERY_MS = 7_000
const SAMPLE_EVERY_MS = 10_000
const COMPARE_EVERY_MS = 300_000
/** By which each may grow a minute: MiB, or handles; far less than one for each fault. Samples differ by more. */
const GROWTH = { mainMiB: 0.1, helperMiB: 0.1, files: 0.1, helperFiles: 0.1 } as const
const SETTLE_MS = 90_000
const LOG = 'bench-results/soak-agent.txt'
/** Of a damage, on a machine that others use too; most are repaired in 2 s. */
const REPAIR_MS = 60_000

interface Sample extends Usage {
  readonly minute: number
  readonly files: number
  readonly helperFiles: number
}

const [minutesText, variantText] = process.argv.slice(2)
const minutes = Number(minutesText ?? 30)
const variant: IptablesVariant = variantText === 'legacy' ? 'legacy' : 'nft'
if (!(minutes > 0)) throw new Error(`${minutesText} is not a number of minutes`)
// Of its own, so that what is left in it was left by this run.
const folder = mkdtempSync(`${tmpdir()}/sluice-soak-`)
process.env['TMPDIR'] = folder
process.env['XTABLES_LOCKFILE'] = `${folder}/xtables.lock`
spawnSync('ip', ['link', 'set', 'lo', 'up'])
process.exitCode = await soak()

async function soak(): Promise<number> {
  const before = { processes: processesHere(), sockets: socketsHere() }
  const api = startApiDouble()
  const { url } = await api.fill(SERVICES)
  clearTables(variant)
  // kube-proxy's default: changes of one second go out together.
  const agent = startNodeAgent({ server: url, variant, minSyncPeriod: '1s' })
  await agent.waitFor(({ fields }) => fields['msg'] === 'synced rules')
  console.log(
    `soak: ${minutes} minutes, iptables-${variant}, ${SERVICES} Services, ${CHANGES_A_SECOND} changes a second`,
  )
  const samples: Sample[] = []
  const counts = await churn(agent, api, samples)
  const differences = [...counts.differences, ...(await settle(api, minutes))]
  const end = sampleOf(agent)
  const helpers = childrenOf(agent.pid)
  const exit = await agent.stop()
  await api.close()
  await new Promise((resolve) => setTimeout(resolve, 500))
  const leftFiles = readdirSync(folder).filter((name) => name !== 'xtables.lock')
  rmSync(folder, { recursive: true, force: true })

  printSamples([...samples, end])
  console.log(`\nchanges: ${counts.changes}; faults: ${JSON.stringify(counts.faults)}`)
  printLog(agent)
  const repairs = repairTimes(counts.damages, syncsOf(agent))
  const [middle = 0, worst = 0] = [median(repairs), Math.max(0, ...repairs)].map(Math.round)
  console.log(`repairs of damage: ${repairs.length}; median ${middle} ms, longest ${worst} ms`)
  const late = repairs.filter((ms) => ms > REPAIR_MS)
  const problems = [
    ...differences,
    ...growthOf(samples),
    ...(late.length > 0 ? [`${late.length} damages were not repaired within ${REPAIR_MS} ms`] : []),
    ...(exit === 0 ? [] : [`sluice ended with ${exit}`]),
    ...helpers.filter(isAlive).map((pid) => `helper ${pid} is left`),
    ...processesHere()
      .filter((text) => !before.processes.includes(text))
      .map((text) => `a process is left: ${text}`),
    ...(socketsHere() > before.sockets ? [`${socketsHere() - before.sockets} sockets are left`] : []),
    ...leftFiles.map((name) => `${name} is left`),
    ...errorLines(agent),
  ]
  for (const problem of problems) console.log(`PROBLEM: ${problem}`)
  console.log(problems.length === 0 ? 'soak: passed' : `soak: failed, ${problems.length} problems`)
  return problems.length === 0 ? 0 : 1
}

interface Counts {
  readonly changes: number
  readonly faults: Readonly<Record<string, number>>
  /** When our rules were damaged; see monotonicMs. */
  readonly damages: readonly number[]
  readonly differences: readonly string[]
}

async function churn(agent: NodeAgent, api: ApiDouble, samples: Sample[]): Promise<Counts> {
  const nextChange = createSoakChanges()
  const faults: Record<string, number> = {}
  const damages: number[] = []
  const differences: string[] = []
  const started = performance.now()
  const end = started + minutes * 60_000
  let changes = 0
  /** Of the time that changes were made in. */
  let paused = 0
  let nextFault = started + FAULT_EVERY_MS
  let nextSample = started
  let nextComparison = started + COMPARE_EVERY_MS
  for (let now = started; now < end; now = performance.now()) {
    const due = Math.floor(((now - started - paused) / 1000) * CHANGES_A_SECOND)
    const writes = Array.from({ length: due - changes }, nextChange).flat()
    changes = due
    if (writes.length > 0) await api.write(...writes)
    if (now >= nextFault) {
      const fault = FAULTS[Object.values(faults).reduce((sum, count) => sum + count, 0) % FAULTS.length]
      if (fault !== undefined) {
        await fault.make({ agent, api, variant })
        if (fault.isDamage === true) damages.push(monotonicMs())
        faults[fault.name] = (faults[fault.name] ?? 0) + 1
      }
      nextFault = performance.now() + FAULT_EVERY_MS
    }
    if (now >= nextSample) {
      samples.push(sampleOf(agent, (now - started) / 60_000))
      nextSample = now + SAMPLE_EVERY_MS
    }
    if (now >= nextComparison) {
      differences.push(...(await settle(api, (now - started) / 60_000)))
      nextComparison = performance.now() + COMPARE_EVERY_MS
      paused += performance.now() - now
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  return { changes, faults, damages, differences }
}

/** Until the kernel is what the API server holds, or the time for that is over: what is different then. */
async function settle(api: ApiDouble, minute: number): Promise<readonly string[]> {
  const objects = await api.objects()
  const started = performance.now()
  for (;;) {
    const differences = compareKernel(objects, variant)
    const waited = performance.now() - started
    if (differences.length === 0 || waited > SETTLE_MS) {
      console.log(
        `minute ${minute.toFixed(0)}: ${differences.length} differences after ${(waited / 1000).toFixed(0)} s`,
      )
      return differences.map((each) => `the kernel is not as the API server, minute ${minute.toFixed(0)}: ${each}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
}

function sampleOf(agent: NodeAgent, minute = minutes): Sample {
  const [helper] = childrenOf(agent.pid)
  return {
    minute,
    ...agent.usage(),
    files: openFiles(agent.pid),
    helperFiles: helper === undefined ? 0 : openFiles(helper),
  }
}

function growthOf(samples: readonly Sample[]): readonly string[] {
  return Object.entries(GROWTH).flatMap(([name, most]) => {
    const key = name as keyof typeof GROWTH
    const growth = fitGrowth(samples.map((sample) => ({ minute: sample.minute, value: sample[key] })))
    if (growth === undefined) return []
    const { perMinute, error, points } = growth
    const text = `${name}: ${perMinute.toFixed(3)} a minute, +- ${error.toFixed(3)}, over ${points} minutes`
    console.log(text)
    return isGrowing(growth, most) ? [`it grows, ${text}`] : []
  })
}

function syncsOf({ lines }: NodeAgent): readonly LoggedSync[] {
  return lines
    .filter(({ fields }) => fields['msg'] === 'synced rules' && fields['family'] === 'IPv4')
    .map(({ at, fields }) => ({ at, reason: String(fields['reason']), kind: String(fields['kind']) }))
}

/** What the log said, how often. */
function printLog({ lines }: NodeAgent): void {
  const counts = new Map<string, number>()
  for (const { fields } of lines) {
    const said = `${String(fields['level'])}: ${String(fields['msg'])}`
    counts.set(said, (counts.get(said) ?? 0) + 1)
  }
  mkdirSync('bench-results', { recursive: true })
  writeFileSync(LOG, lines.map(({ at, text }) => `${at.toFixed(0)} ${text}\n`).join(''))
  console.log(`the log is in ${LOG}; what it says, and how often:`)
  for (const [said, count] of counts) console.log(`${String(count).padStart(6)}  ${said}`)
}

/** Errors that no fault here explains. */
function errorLines(agent: NodeAgent): readonly string[] {
  const unexplained = agent.lines.filter(({ text }) => /TypeError|RangeError|"stack"|ERR_|unhandled/i.test(text))
  return unexplained.slice(0, 3).map(({ text }) => `the log says: ${text.slice(0, 300)}`)
}

function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) !== ''
      } catch {
        return false
      }
    }).length
  } catch {
    return 0
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function printSamples(samples: readonly Sample[]): void {
  const step = Math.max(1, Math.floor(samples.length / 12))
  printTable(
    'over time',
    samples
      .filter((_, index) => index % step === 0 || index === samples.length - 1)
      .map((sample) => ({
        minute: sample.minute.toFixed(1),
        'main MiB': sample.mainMiB,
        'peak MiB': sample.mainPeakMiB,
        'helper MiB': sample.helperMiB,
        'open files': sample.files,
        'of the helper': sample.helperFiles,
        'CPU s, main': sample.mainCpu,
        'CPU s, children': sample.childCpu,
      })),
  )
}
