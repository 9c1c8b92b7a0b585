// The options of `sluice run`.
import { type Command, Option } from 'commander'
import type { RunOptions } from '../daemon.ts'
import { addDaemonFlags, givenDaemonFlags } from '../proxy-options.ts'
import type { CommandContext } from './context.ts'
import { collect, positive, refuseWords } from './source-options.ts'

const HELP = `
Examples:
  sluice run --config /var/lib/kube-proxy/config.conf --hostname-override node1    as kube-proxy is started
  sluice run --kubeconfig /etc/sluice/kubeconfig --dry-run                         what it would write, and nothing written
  sluice run -f /etc/sluice/services --cluster-cidr 10.244.0.0/16                  without a cluster, from manifests
  sluice run --cleanup                                                             remove what kube-proxy or sluice left

Exit codes, as kube-proxy's: 0 ended as told; 1 everything else, such as a configuration that is wrong or was changed.`

export function addRun(program: Command, { version, streams, setExitCode }: CommandContext): void {
  const run = program
    .command('run')
    .description("Watch the cluster and keep this node's rules right, iptables or IPVS, in place of kube-proxy")
    .addHelpText('after', HELP)
    .allowExcessArguments(true)
    .addOption(
      new Option(
        '-f, --filename <file>',
        'serve these manifests instead of a cluster: a file or a folder; repeatable',
      ).argParser(collect),
    )
    .option('--once', 'sync once and end')
    .option('--dry-run', 'print what would be written, and write nothing')
    .option('--debug-rules', 'show the rules under /debug/rules of the metrics server')
    .addOption(
      new Option('--iptables-variant <variant>', 'the iptables to use; auto: the one that this host uses')
        .choices(['auto', 'nft', 'legacy'])
        .default('auto'),
    )
  addDriftOptions(run)
  addDrainOptions(run)
  run.action(async (options: Omit<RunOptions, 'filename' | 'proxyFlags'>, command: Command) => {
    refuseWords(command.args)
    const { runNode } = await import('../daemon.ts')
    setExitCode(await runNode({ filename: [], ...options, proxyFlags: givenDaemonFlags(command) }, version, streams))
  })
  addDaemonFlags(run)
}

/** How often the kernel is looked at, for what others did to the rules. */
function addDriftOptions(command: Command): void {
  command
    .addOption(
      new Option('--drift-interval <seconds>', 'how often to look for a flush, missing chains and jumps')
        .argParser(positive)
        .default(1),
    )
    .addOption(
      new Option(
        '--drift-share <percent>',
        'of a core that these looks may cost where other programs write rules all the time; they are rarer then',
      )
        .argParser(positive)
        .default(5),
    )
    .addOption(
      new Option(
        '--read-back-interval <seconds>',
        'how often to compare every rule; stretched to cost at most 1% of a core',
      )
        .argParser(positive)
        .default(300),
    )
}

/** How long connections may go on that new ones do not follow any more. */
function addDrainOptions(command: Command): void {
  command
    .addOption(
      new Option(
        '--endpoint-drain-interval <seconds>',
        'IPVS: how often at least to look whether a removed endpoint has finished its connections',
      )
        .argParser(positive)
        .default(60),
    )
    .addOption(
      new Option(
        '--endpoint-drain-limit <seconds>',
        'IPVS: cut the connections of a removed endpoint after this time; default: never',
      ).argParser(positive),
    )
    .addOption(
      new Option(
        '--mode-drain-limit <seconds>',
        'after a change from IPVS to iptables: cut connections through IPVS after this time',
      )
        .argParser(positive)
        .default(900),
    )
}
