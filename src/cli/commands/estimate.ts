// The options of `sluice estimate`.
import { type Command, Option } from 'commander'
import type { EstimateOptions } from '../estimate.ts'
import type { CommandContext } from './context.ts'
import { addProxyFlags, addSourceOptions, sourceOptionsOf, wholeNumber } from './source-options.ts'

const HELP = `
Rules, chains and bytes are counted; times and memory come from measurements, which scripts/bench estimate refreshes.

Examples:
  sluice estimate -f cluster.yaml --node node1
  sluice estimate --services 10000 --endpoints 5
  sluice estimate --services 10000 --mode ipvs
  sluice estimate --services 500 --endpoints 20 --type LoadBalancer -o json
  sluice estimate -f cluster.yaml --max-rules 50000          for CI: fails when a family has more rules

Exit codes: 0 estimated; 1 more rules than --max-rules; 2 not estimated.`

export function addEstimate(program: Command, { streams, setExitCode }: CommandContext): void {
  const estimate = program
    .command('estimate')
    .description("Say what a cluster's Services come to on a node: rules, sync times, memory")
    .addHelpText('after', HELP)
    .optionsGroup('Instead of a cluster:')
    .addOption(new Option('--services <number>', 'so many Services, all alike').argParser(wholeNumber))
    .addOption(new Option('--endpoints <number>', 'of each of them').argParser(wholeNumber).default(5))
    .addOption(
      new Option('--type <type>', 'of each of them')
        .choices(['ClusterIP', 'NodePort', 'LoadBalancer'])
        .default('ClusterIP'),
    )
  addSourceOptions(estimate, { saved: false })
  estimate
    .addOption(new Option('--max-rules <number>', 'exit with 1 when a family has more rules').argParser(wholeNumber))
    .addOption(new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text'))
    .action(async (options: EstimateOptions, command: Command) => {
      const { estimate: run } = await import('../estimate.ts')
      setExitCode(await run(sourceOptionsOf(options, command), streams))
    })
  addProxyFlags(estimate)
}
