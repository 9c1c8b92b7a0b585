// Soak test, started by scripts/soak in a network namespace of its own: a real `sluice run`, 50 changes a second, faults
// of the API server, of the helper process and of the kernel's rules. It fails when memory grows, when the kernel in the
// end is not what the API server holds, and when a process, socket or file is left.
import { spawnSync } from 'node:child_process'
import { readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { IptablesVariant } from '../src/sync/variant.ts'
import { median, printTable } from './benchmarks/measure.ts'
import { type ApiDouble, startApiDouble } from './laboratory/api-double-client.ts'
import { compareKernel } from './laboratory/kernel-state.ts'
import { childrenOf, type NodeAgent, startNodeAgent, type Usage } from './laboratory/node-agent.ts'
import { clearTables } from './laboratory/restore.ts'
import { createSoakChanges, SERVICES } from './laboratory/soak-changes.ts'
import { FAULTS } from './laboratory/soak-faults.ts'

const CHANGES_A_SECOND = 50
const TICK_MS = 20
const FAULT_EVERY_MS = 7_000
const SAMPLE_EVERY_MS = 10_000
/** The share by which the last third of the run may take more memory than the second; the first is warming up. */
const GROWTH = 0.1
/** Handles that come and go with connections and tools. */
const SPARE_FILES = 6
const SETTLE_MS = 90_000

interface Sample extends Usage {
  readonly minute: number
  readonly files: number
  readonly helperFiles: number
}

const [minutesText, variantText] = process.argv.slice(2)
const minutes = Number(minutesText ?? 30)
const variant: IptablesVariant = variantText === 'legacy' ? 'legacy' : 'nft'
if (!(minutes > 0)) throw new Error(`${minutesText} is not a number of minutes`)
const lock = `${tmpdir()}/sluice-soak-xtables-${process.pid}.lock`
process.env['XTABLES_LOCKFILE'] = lock
spawnSync('ip', ['link', 'set', 'lo', 'up'])
process.exitCode = await soak()

async function soak(): Promise<number> {
  const spoolsBefore = spools()
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
  const differences = await settle(api)
  const end = sampleOf(agent)
  const helpers = childrenOf(agent.pid)
  const exit = await agent.stop()
  await new Promise((resolve) => setTimeout(resolve, 500))
  const leftProcesses = helpers.filter(isAlive)
  const leftFiles = spools().filter((name) => !spoolsBefore.includes(name))
  await api.close()
  rmSync(lock, { force: true })

  printSamples([...samples, end])
  console.log(`\nchanges: ${counts.changes}; faults: ${JSON.stringify(counts.faults)}`)
  const syncs = agent.lines.filter(({ fields }) => fields['msg'] === 'synced rules').length
  console.log(`syncs: ${syncs}; lines of log: ${agent.lines.length}`)
  const problems = [
    ...differences.map((difference) => `the kernel is not as the API server: ${difference}`),
    ...growthOf(samples),
    ...(exit === 0 ? [] : [`sluice ended with ${exit}`]),
    ...leftProcesses.map((pid) => `process ${pid} is left`),
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
}

async function churn(agent: NodeAgent, api: ApiDouble, samples: Sample[]): Promise<Counts> {
  const nextChange = createSoakChanges()
  const faults: Record<string, number> = {}
  const started = performance.now()
  const end = started + minutes * 60_000
  let changes = 0
  let nextFault = started + FAULT_EVERY_MS
  let nextSample = started
  for (let now = started; now < end; now = performance.now()) {
    const due = Math.floor(((now - started) / 1000) * CHANGES_A_SECOND)
    const writes = Array.from({ length: due - changes }, nextChange).flat()
    changes = due
    if (writes.length > 0) await api.write(...writes)
    if (now >= nextFault) {
      const fault = FAULTS[Object.values(faults).reduce((sum, count) => sum + count, 0) % FAULTS.length]
      if (fault !== undefined) {
        await fault.make({ agent, api, variant })
        faults[fault.name] = (faults[fault.name] ?? 0) + 1
      }
      nextFault = performance.now() + FAULT_EVERY_MS
    }
    if (now >= nextSample) {
      samples.push(sampleOf(agent, (now - started) / 60_000))
      nextSample = now + SAMPLE_EVERY_MS
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  return { changes, faults }
}

/** Until the kernel is what the API server holds, or the time for that is over: what is different then. */
async function settle(api: ApiDouble): Promise<readonly string[]> {
  const objects = await api.objects()
  const end = performance.now() + SETTLE_MS
  for (;;) {
    const differences = compareKernel(objects, variant)
    if (differences.length === 0 || performance.now() > end) return differences
    await new Promise((resolve) => setTimeout(resolve, 2_000))
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
  const third = Math.floor(samples.length / 3)
  if (third < 2) return []
  const grew = (name: keyof Sample, spare: (before: number) => number) => {
    const before = median(samples.slice(third, 2 * third).map((sample) => sample[name]))
    const after = median(samples.slice(2 * third).map((sample) => sample[name]))
    return after > before + spare(before) ? [`${name} grew from ${before.toFixed(0)} to ${after.toFixed(0)}`] : []
  }
  return [
    ...grew('mainMiB', (before) => before * GROWTH),
    ...grew('helperMiB', (before) => before * GROWTH),
    ...grew('files', () => SPARE_FILES),
    ...grew('helperFiles', () => SPARE_FILES),
  ]
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

function spools(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => /^sluice-(?:hands|agent)-/.test(name))
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
