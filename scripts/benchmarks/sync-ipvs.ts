// `scripts/bench sync --mode ipvs`: what keeping the kernel right costs in IPVS mode, in the second kernel, because many
// kernels have no IPVS. Each size a few times in kernels that have just started, by turns with the bare tools in others. In
// such a kernel starting a tool takes many times what it takes elsewhere, and everything takes turns on one CPU.
// All three sizes together take about 10 minutes on a machine with nothing else to do.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { WholeFloors } from '../laboratory/ipvs-floors.ts'
import { median, percentile, printTable, writeResults } from './measure.ts'
import { GROUP_NAMES, IPVS_CHURNS, type IpvsChurn, type MeasuredChange } from './sync-ipvs-churn.ts'
import type { FirstSync, SyncFigures } from './sync-ipvs-round.ts'

export interface IpvsBenchOptions {
  readonly sizes: string
  readonly starts: string
  readonly changes: string
}

export interface IpvsFigures {
  readonly services: number
  readonly compileMs: number
  readonly first: readonly FirstSync[]
  readonly restart: readonly FirstSync[]
  readonly floors: readonly WholeFloors[]
  readonly bareChangeMs: readonly number[]
  readonly churn: Readonly<Record<IpvsChurn, readonly MeasuredChange[]>>
  /** The most of all starts. */
  readonly mainMiB: number
  readonly mainPeakMiB: number
  readonly helperMiB: number
  readonly helperPeakMiB: number
}

const KERNEL_RUN = fileURLToPath(new URL('../second-kernel/kernel-run', import.meta.url))
const ROUND = fileURLToPath(new URL('sync-ipvs-round.ts', import.meta.url))
const MEGABYTES = '1500'
/** Many times what a part takes. */
const SECONDS = '900'

export function benchIpvs(options: IpvsBenchOptions): void {
  const rounds = options.sizes.split(',').map((services) => inSecondKernel(services, options))
  printFirstSyncs(rounds)
  printChanges(rounds)
  printMemory(rounds)
  printTools(rounds)
  writeResults('sync-ipvs', rounds)
}

function printFirstSyncs(rounds: readonly IpvsFigures[]): void {
  printTable(
    `from compiled program to programmed, ms; floor: one bare ipset restore, ip -batch and ipvsadm -R of the same content; medians of ${rounds[0]?.first.length}`,
    rounds.map(({ services, first, floors, restart, compileMs }) => {
      const floor = median(floors.map(({ ipset, addresses, ipvsadm }) => ipset + addresses + ipvsadm))
      const took = median(first.map(({ ms }) => ms))
      return {
        services,
        lines: first[0]?.lines ?? Number.NaN,
        compile: compileMs,
        'first sync': took,
        floor,
        'sync/floor': `${(took / floor).toFixed(2)}x`,
        ipset: median(floors.map(({ ipset }) => ipset)),
        'ip -batch': median(floors.map(({ addresses }) => addresses)),
        'ipvsadm -R': median(floors.map(({ ipvsadm }) => ipvsadm)),
        'iptables-restore': median(floors.map(({ iptables }) => iptables)),
        processes: median(first.map(({ processes }) => processes)),
        'netlink messages': median(first.map(({ netlinkMessages }) => netlinkMessages)),
        'after a restart': median(restart.map(({ ms }) => ms)),
      }
    }),
  )
}

function printChanges(rounds: readonly IpvsFigures[]): void {
  printTable(
    `from compiled program to programmed, ms, over ${rounds[0]?.churn['endpoint replaced'].length} changes; floor: one bare ipvsadm -e`,
    rounds.flatMap(({ services, churn, bareChangeMs }) =>
      IPVS_CHURNS.map((kind) => {
        const changes = churn[kind]
        const times = changes.map(({ ms }) => ms)
        const counted = changes.map((change) => change.counted)
        const floor = median(bareChangeMs)
        return {
          services,
          change: kind,
          median: median(times),
          p99: percentile(times, 0.99),
          floor,
          'floor p99': percentile(bareChangeMs, 0.99),
          'change/floor': `${(median(times) / floor).toFixed(2)}x`,
          lines: median(changes.map(({ lines }) => lines)),
          processes: median(counted.map(({ processes }) => processes)),
          'netlink messages': median(counted.map(({ netlinkMessages }) => netlinkMessages)),
          compile: median(changes.map(({ compileMs }) => compileMs)),
        }
      }),
    ),
  )
}

function printMemory(rounds: readonly IpvsFigures[]): void {
  printTable(
    'resident MiB at the end, and at most: objects, both Snapshots and the syncer; the helper',
    rounds.map(({ services, mainMiB, mainPeakMiB, helperMiB, helperPeakMiB }) => ({
      services,
      main: mainMiB,
      'main peak': mainPeakMiB,
      helper: helperMiB,
      'helper peak': helperPeakMiB,
    })),
  )
}

function printTools(rounds: readonly IpvsFigures[]): void {
  printTable(
    'where the first sync and one replaced endpoint spend their time, ms by tool',
    rounds.flatMap(({ services, first, churn }) =>
      [
        { what: 'first sync', counted: first.at(-1) },
        { what: 'endpoint replaced', counted: churn['endpoint replaced'].at(-1)?.counted },
        { what: 'endpoint here replaced', counted: churn['endpoint here replaced'].at(-1)?.counted },
      ].map(({ what, counted }) => ({
        services,
        what,
        tools: Object.entries(counted?.spent ?? {})
          .map(([tool, ms]) => `${tool} ${ms.toFixed(0)}`)
          .join(', '),
      })),
    ),
  )
}

/** One size, each part in a kernel of its own: the floor and the syncer by turns, so that both have the same of the machine. */
export function inSecondKernel(
  services: string,
  { starts, changes }: Pick<IpvsBenchOptions, 'starts' | 'changes'>,
): IpvsFigures {
  const floors: WholeFloors[] = []
  const syncs: SyncFigures[] = []
  // A start for each group of changes at least.
  for (let start = 0; start < Math.max(Number(starts), GROUP_NAMES.length); start += 1) {
    const group = GROUP_NAMES[start % GROUP_NAMES.length] ?? 'endpoint'
    floors.push(runPart(['--part', 'floor', '--services', services]) as WholeFloors)
    syncs.push(runPart(['--part', group, '--services', services, '--changes', changes]) as SyncFigures)
  }
  const measured = syncs.flatMap((sync) => sync.changes)
  const churn = IPVS_CHURNS.map((kind) => [kind, measured.filter((change) => change.churn === kind)] as const)
  const most = (of: (sync: SyncFigures) => number) => Math.max(...syncs.map(of))
  return {
    services: Number(services),
    compileMs: median(syncs.map(({ compileMs }) => compileMs)),
    first: syncs.map(({ first }) => first),
    restart: syncs.map(({ restart }) => restart),
    floors,
    bareChangeMs: syncs.flatMap(({ bareChangeMs }) => bareChangeMs),
    churn: Object.fromEntries(churn) as unknown as IpvsFigures['churn'],
    mainMiB: most(({ mainMiB }) => mainMiB),
    mainPeakMiB: most(({ mainPeakMiB }) => mainPeakMiB),
    helperMiB: most(({ helperMiB }) => helperMiB),
    helperPeakMiB: most(({ helperPeakMiB }) => helperPeakMiB),
  }
}

function runPart(part: readonly string[]): unknown {
  const kernel = ['-m', MEGABYTES, '-t', SECONDS, '-p', 'ip_vs', '--']
  const text = execFileSync(KERNEL_RUN, [...kernel, process.execPath, ROUND, ...part], {
    encoding: 'utf8',
    maxBuffer: 1e8,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(text)
}
