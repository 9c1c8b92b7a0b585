// Refreshes src/estimate/coefficients.ts, from which `sluice estimate` tells times and memory: rounds of the sync
// benchmark at two sizes give a straight line for each cost. Needs root, and a machine with nothing else to do. IPVS mode
// is measured in the second kernel, where starting a tool takes many times as long.
// --only ipvs measures that mode alone, and keeps what is known of the other.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import type { Coefficients, IpvsCoefficients, Line, VariantCoefficients } from '../../src/estimate/coefficient-types.ts'
import { COEFFICIENTS } from '../../src/estimate/coefficients.ts'
import { measureAmounts } from '../../src/estimate/estimate.ts'
import { measureIpvsAmounts, objectsOf } from '../../src/estimate/ipvs.ts'
import { makeSnapshot } from '../../src/estimate/synthetic.ts'
import { compile, decodeProxyConfig, describeNode } from '../../src/index.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import type { IptablesVariant } from '../../src/sync/variant.ts'
import { monotonicMs } from '../laboratory/clock.ts'
import { clearTables, readTable, timeRestore, wholePayload } from '../laboratory/restore.ts'
import { ENDPOINTS_PER_SERVICE, generateList } from './cluster.ts'
import { median, printTable, writeResults } from './measure.ts'
import { inSecondKernel } from './sync-ipvs.ts'
import { CONFIG, factsOfNode, snapshotOfSize } from './sync-ipvs-cluster.ts'
import { runRound } from './sync-round.ts'

const FILE = 'src/estimate/coefficients.ts'
const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000,5000' },
    changes: { type: 'string', default: '9' },
    'ipvs-sizes': { type: 'string', default: '100,600' },
    only: { type: 'string' },
    /** Set by the benchmark for its own rounds: a variant. */
    round: { type: 'string' },
  },
})

interface Figures {
  readonly rules: number
  readonly firstSyncMs: number
  readonly changeMs: number
  readonly readBackMs: number
  readonly kernelBytes: number
  readonly agentBytes: number
}

if (values.only === 'ipvs') writeCoefficients({ ...COEFFICIENTS, ipvs: measureIpvs() })
else if (values.round === undefined) refresh()
else console.log(JSON.stringify(await measure(Number(values.sizes), values.round === 'legacy' ? 'legacy' : 'nft')))

function refresh(): void {
  const sizes = values.sizes.split(',')
  const rounds = (variant: IptablesVariant) => sizes.map((size) => inNamespace(size, variant))
  const nft = rounds('nft')
  const legacy = rounds('legacy')
  const [cpu] = cpus()
  const coefficients: Coefficients = {
    measuredOn: `${cpus().length} x ${cpu?.model ?? 'unknown CPU'}`,
    agentBytes: fit(nft, 'agentBytes'),
    iptables: { nft: fitVariant(nft), legacy: fitVariant(legacy) },
    ipvs: measureIpvs(),
  }
  writeCoefficients(coefficients)
  printTable('measured', [
    ...nft.map((figures) => ({ variant: 'nft', ...figures })),
    ...legacy.map((figures) => ({ variant: 'legacy', ...figures })),
  ])
  writeResults('estimate', { nft, legacy, coefficients })
}

function writeCoefficients(coefficients: Coefficients): void {
  const text = JSON.stringify(coefficients, undefined, 2)
    .replaceAll(/"([a-zA-Z]+)":/g, '$1:')
    .replaceAll('"', "'")
  writeFileSync(
    FILE,
    `// What sluice and the kernel take per rule. Written by \`scripts/bench estimate\`; not to be edited.
import type { Coefficients } from './coefficient-types.ts'

export const COEFFICIENTS: Coefficients = ${text}
`,
  )
  execFileSync(process.execPath, ['scripts/with-node.mjs', 'biome', 'check', '--write', FILE], { stdio: 'inherit' })
}

function measureIpvs(): IpvsCoefficients {
  const rounds = values['ipvs-sizes'].split(',').map((services) => {
    const figures = inSecondKernel(services, { starts: '1', changes: values.changes })
    const program = compileIpvs(snapshotOfSize(Number(services)), CONFIG, factsOfNode(), 'ipv4')
    return {
      rules: objectsOf(measureIpvsAmounts(program)),
      firstSyncMs: median(figures.first.map(({ ms }) => ms)),
      changeMs: median(figures.churn['endpoint replaced'].map(({ ms }) => ms)),
      agentBytes: (figures.mainMiB + figures.helperMiB) * 2 ** 20,
    }
  })
  printTable('measured in the second kernel, by objects', rounds)
  return {
    measuredIn: 'a second kernel, in which everything takes turns on one CPU and tools start slowly',
    firstSyncMs: fit(rounds, 'firstSyncMs'),
    changeMs: fit(rounds, 'changeMs'),
    agentBytes: fit(rounds, 'agentBytes'),
  }
}

function fitVariant(figures: readonly Figures[]): VariantCoefficients {
  return {
    firstSyncMs: fit(figures, 'firstSyncMs'),
    changeMs: fit(figures, 'changeMs'),
    readBackMs: fit(figures, 'readBackMs'),
    kernelBytes: fit(figures, 'kernelBytes'),
  }
}

/** The line through the smallest and the largest size, and never one that falls or begins below zero. */
function fit<K extends string>(figures: readonly Readonly<Record<K | 'rules', number>>[], what: K): Line {
  const [first] = figures
  const last = figures.at(-1)
  if (first === undefined || last === undefined || first === last) throw new Error('two sizes are needed')
  const perRule = Math.max(0, (last[what] - first[what]) / (last.rules - first.rules))
  const base = Math.max(0, first[what] - perRule * first.rules)
  return { base: Number(base.toPrecision(3)), perRule: Number(perRule.toPrecision(3)) }
}

async function measure(services: number, variant: IptablesVariant): Promise<Figures> {
  const round = await runRound({ services, variant, starts: 1, changes: Number(values.changes) })
  const changed = round.churn.find(({ churn }) => churn === 'endpoint changed')
  clearTables(variant)
  const payload = wholePayload(variant, generateList(services).items)
  const before = kernelMemory()
  timeRestore(variant, payload)
  const kernelBytes = Math.max(0, kernelMemory() - before)
  const readings = Array.from({ length: 3 }, () => {
    const started = monotonicMs()
    readTable(variant, 'nat')
    return monotonicMs() - started
  })
  clearTables(variant)
  const { usageEnd } = round
  return {
    rules: rulesOf(services),
    firstSyncMs: median(round.coldStart.startToProgrammed),
    changeMs: median(changed?.times ?? []),
    readBackMs: median(readings),
    kernelBytes,
    agentBytes: (usageEnd.mainMiB + usageEnd.helperMiB) * 2 ** 20,
  }
}

function rulesOf(services: number): number {
  const { config } = decodeProxyConfig(
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n',
    'none',
  )
  if (config === undefined) throw new Error('the configuration is invalid')
  const { facts } = describeNode('node', undefined, config, undefined)
  const snapshot = makeSnapshot({ services, endpoints: ENDPOINTS_PER_SERVICE, type: 'ClusterIP' })
  return measureAmounts(compile(snapshot, config, facts, 'ipv4')).rules
}

/** Bytes of the whole machine's kernel, so others disturb it. */
function kernelMemory(): number {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const kibibytes = ['Slab', 'VmallocUsed'].map((name) =>
    Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0),
  )
  return kibibytes.reduce((sum, value) => sum + value, 0) * 1024
}

/** A round in a process and a network namespace of its own. */
function inNamespace(size: string, variant: IptablesVariant): Figures {
  const script = process.argv[1] ?? ''
  const argv = ['-n', process.execPath, script, '--round', variant, '--sizes', size, '--changes', values.changes]
  const text = execFileSync('unshare', argv, { encoding: 'utf8', maxBuffer: 1e8, stdio: ['ignore', 'pipe', 'inherit'] })
  return JSON.parse(text) as Figures
}
