// What keeping a kernel right costs: `sluice run` itself against the API server's test double, in a network namespace.
// Cold start, repair of a flush, and single changes, beside the bare tools in the same kernel. Needs root. With
// `--mode ipvs` the syncer of that mode in the second kernel: sync-ipvs.ts.
import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import type { IptablesVariant } from '../../src/sync/variant.ts'
import { median, percentile, printTable, writeResults } from './measure.ts'
import { benchIpvs } from './sync-ipvs.ts'
import { type RoundFigures, runRound } from './sync-round.ts'

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'iptables' },
    sizes: { type: 'string', default: '1000,2000,10000' },
    variants: { type: 'string', default: 'nft,legacy' },
    starts: { type: 'string', default: '3' },
    changes: { type: 'string', default: '21' },
    /** Set by the benchmark for its own rounds. */
    round: { type: 'boolean', default: false },
  },
})

if (values.round) {
  const figures = await runRound({
    services: Number(values.sizes),
    variant: values.variants === 'legacy' ? 'legacy' : 'nft',
    starts: Number(values.starts),
    changes: Number(values.changes),
  })
  console.log(JSON.stringify(figures))
} else if (values.mode === 'ipvs') benchIpvs(values)
else runAll()

function runAll(): void {
  const rounds = values.variants
    .split(',')
    .flatMap((variant) =>
      values.sizes.split(',').map((services) => inNamespace(services, variant === 'legacy' ? 'legacy' : 'nft')),
    )
  printTable(
    `from nothing to programmed, ms; floor: a bare iptables-restore of the same payload; medians of ${values.starts}`,
    rounds.map(({ services, variant, coldStart, afterFlush }) => ({
      services,
      variant,
      lines: coldStart.lines,
      'start to programmed': median(coldStart.startToProgrammed),
      'first list to programmed': median(coldStart.listToProgrammed),
      'whole sync': median(coldStart.sync),
      apply: median(coldStart.apply),
      floor: median(coldStart.floor),
      'apply/floor': ratio(coldStart),
      'sync after a flush': median(afterFlush.sync),
      'its apply': median(afterFlush.apply),
      'its floor': median(afterFlush.floor),
      'flush/floor': ratio(afterFlush),
    })),
  )
  printTable(
    `from an event to the kernel, ms, over ${values.changes} changes, the syncer idle before`,
    rounds.flatMap(({ services, variant, churn }) =>
      churn.map((figures) => ({
        services,
        variant,
        change: figures.churn,
        median: median(figures.times),
        p99: percentile(figures.times, 0.99),
        lines: figures.lines,
        floor: median(figures.floor),
        "kube-proxy's way": median(figures.kubeProxyWay),
        'CPU s, main': figures.mainCpu,
        'CPU s, children': figures.childCpu,
      })),
    ),
  )
  printTable(
    'what the processes take: CPU seconds until programmed, resident MiB then, and at most until the end of the changes',
    rounds.map(({ services, variant, usageCold, usageEnd }) => ({
      services,
      variant,
      'CPU s, main': usageCold.mainCpu,
      'CPU s, children': usageCold.childCpu,
      'main MiB': usageCold.mainMiB,
      'peak then': usageCold.mainPeakMiB,
      'at the end': usageEnd.mainMiB,
      'peak at the end': usageEnd.mainPeakMiB,
      'helper MiB': usageEnd.helperMiB,
      'helper peak': usageEnd.helperPeakMiB,
    })),
  )
  writeResults('sync', rounds)
}

/** A round in a process and a network namespace of its own. */
function inNamespace(services: string, variant: IptablesVariant): RoundFigures {
  const script = process.argv[1] ?? ''
  const round = ['--round', '--sizes', services, '--variants', variant]
  const repeats = ['--starts', values.starts, '--changes', values.changes]
  const argv = ['-n', process.execPath, script, ...round, ...repeats]
  const text = execFileSync('unshare', argv, { encoding: 'utf8', maxBuffer: 1e8, stdio: ['ignore', 'pipe', 'inherit'] })
  return JSON.parse(text) as RoundFigures
}

function ratio({ apply, floor }: { readonly apply: readonly number[]; readonly floor: readonly number[] }): string {
  return `${(median(apply) / median(floor)).toFixed(2)}x`
}
