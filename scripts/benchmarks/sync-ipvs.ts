// `scripts/bench sync --mode ipvs`: what keeping the kernel right costs in IPVS mode, in the second kernel, because many
// kernels have no IPVS. Each size in a kernel of its own, beside the bare tools in the same one. In that kernel starting a
// tool takes many times what it takes elsewhere, and everything takes turns on one CPU.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median, percentile, printTable, writeResults } from './measure.ts'
import { IPVS_CHURNS } from './sync-ipvs-churn.ts'
import type { IpvsRoundFigures } from './sync-ipvs-round.ts'

export interface IpvsBenchOptions {
  readonly sizes: string
  readonly starts: string
  readonly changes: string
}

const KERNEL_RUN = fileURLToPath(new URL('../second-kernel/kernel-run', import.meta.url))
const ROUND = fileURLToPath(new URL('sync-ipvs-round.ts', import.meta.url))
const MEGABYTES = '1500'
const SECONDS = '3000'

export function benchIpvs(options: IpvsBenchOptions): void {
  const rounds = options.sizes.split(',').map((services) => inSecondKernel(services, options))
  printTable(
    `from compiled program to programmed, ms; floor: one bare ipset restore, ip -batch and ipvsadm -R of the same content; medians of ${options.starts}`,
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
  printTable(
    `from compiled program to programmed, ms, over ${options.changes} changes; floor: one bare ipvsadm -e`,
    rounds.flatMap(({ services, churn, bareChangeMs }) =>
      IPVS_CHURNS.map((kind) => {
        const { times, compiling, lines, counted } = churn[kind]
        const floor = median(bareChangeMs)
        return {
          services,
          change: kind,
          median: median(times),
          p99: percentile(times, 0.99),
          floor,
          'floor p99': percentile(bareChangeMs, 0.99),
          'change/floor': `${(median(times) / floor).toFixed(2)}x`,
          lines: median(lines),
          processes: median(counted.map(({ processes }) => processes)),
          'netlink messages': median(counted.map(({ netlinkMessages }) => netlinkMessages)),
          compile: median(compiling),
        }
      }),
    ),
  )
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
  printTable(
    'where the first sync and one replaced endpoint spend their time, ms by tool',
    rounds.flatMap(({ services, first, churn }) =>
      [
        { what: 'first sync', counted: first.at(-1) },
        { what: 'endpoint replaced', counted: churn['endpoint replaced'].counted.at(-1) },
        { what: 'endpoint here replaced', counted: churn['endpoint here replaced'].counted.at(-1) },
      ].map(({ what, counted }) => ({
        services,
        what,
        tools: Object.entries(counted?.spent ?? {})
          .map(([tool, ms]) => `${tool} ${ms.toFixed(0)}`)
          .join(', '),
      })),
    ),
  )
  writeResults('sync-ipvs', rounds)
}

/** One size, in a kernel of its own. */
export function inSecondKernel(
  services: string,
  { starts, changes }: Pick<IpvsBenchOptions, 'starts' | 'changes'>,
): IpvsRoundFigures {
  const kernel = ['-m', MEGABYTES, '-t', SECONDS, '-p', 'ip_vs', '--']
  const round = [process.execPath, ROUND, '--services', services, '--starts', starts, '--changes', changes]
  const text = execFileSync(KERNEL_RUN, [...kernel, ...round], {
    encoding: 'utf8',
    maxBuffer: 1e8,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(text) as IpvsRoundFigures
}
