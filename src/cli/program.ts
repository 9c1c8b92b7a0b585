// The commands and their options. What a command does is loaded when it runs, so that --help is quick.
import { Command, InvalidArgumentError, Option } from 'commander'
import { addCompletion } from './commands/completion.ts'
import type { CommandContext } from './commands/context.ts'
import { addDiff } from './commands/diff.ts'
import { addEstimate } from './commands/estimate.ts'
import { addExplain } from './commands/explain.ts'
import { addGraph } from './commands/graph.ts'
import { addLint } from './commands/lint.ts'
import { collect, notEmpty } from './commands/source-options.ts'
import { addTrace } from './commands/trace.ts'
import { addVerify } from './commands/verify.ts'
import type { RunOptions } from './daemon.ts'
import { Failure } from './failure.ts'
import type { GoldenCommandOptions } from './golden.ts'
import type { RenderOptions } from './options.ts'
import { addDaemonFlags, addRenderFlags, givenDaemonFlags, givenRenderFlags, optionTerm } from './proxy-options.ts'
import type { Streams } from './streams.ts'
import { printable } from './terminal.ts'

const RENDER_EXAMPLES = `
Examples:
  sluice render -f cluster.yaml                     what kube-proxy would program, as iptables-save shows it
  kubectl get svc,endpointslices,nodes -A -o yaml | sluice render -f - --node node1 --family ipv4
  sluice render --kubeconfig ~/.kube/config --all-nodes --out rules/
  sluice render -f cluster.yaml -o restore --family ipv4 | iptables-restore --noflush --counters
  sluice render -f cluster.yaml --service default/my-nginx
  sluice render -f cluster.yaml --config kube-proxy.yaml --host host.json -o json
  sluice render -f cluster.yaml --mode ipvs --out rules/    iptables, ipset, ipvsadm and addresses of kube-ipvs0

To load what --mode ipvs writes, in this order: ipset restore, iptables-restore --noflush --counters (and ip6tables-),
ip -force -batch, ipvsadm -R.

kube-proxy's other flags are accepted and ignored, but for --cleanup, --init-only and --write-config-to. Flags with
[=true|false] take a value only behind the =.

Exit codes: 0 rendered; 1 rendered, but some input had to be skipped (0 with --keep-going); 2 nothing rendered.`

const RUN_EXAMPLES = `
Examples:
  sluice run --config /var/lib/kube-proxy/config.conf --hostname-override node1    as kube-proxy is started
  sluice run --kubeconfig /etc/sluice/kubeconfig --dry-run                         what it would write, and nothing written
  sluice run -f /etc/sluice/services --cluster-cidr 10.244.0.0/16                  without a cluster, from manifests
  sluice run --cleanup                                                             remove what kube-proxy or sluice left

Exit codes, as kube-proxy's: 0 ended as told; 1 everything else, such as a configuration that is wrong or was changed.`

const GOLDEN_HELP = `
A scenario is a folder with cluster.yaml (any manifests; or cluster.1.yaml, cluster.2.yaml ... for a story in steps), an
optional host.json, and a folder for each configuration, such as iptables/ with config.yaml. Its outputs are written
into that folder: iptables-save, ip6tables-save, in IPVS mode also ipset-save, ipvsadm-save and kube-ipvs0-addresses,
issues when the input has some, and for each further step of a story iptables-plan.2 and ip6tables-plan.2 (ipv4-plan.2
and ipv6-plan.2 in IPVS mode), what is sent to the kernel to get there from the step before.

Examples:
  sluice golden scenarios/                 do your manifests still come to the rules that you reviewed?
  sluice golden --write scenarios/         they are meant to change: write the new rules, then review them as a diff
  sluice golden --summary scenarios/       what changed, each distinct change once

Exit codes: 0 as expected; 1 something differs, or a file is there that no scenario produces; 2 not rendered.`

/** `setExitCode` hears how a command ended. Throws what parsing or a command throws. */
export function createProgram(version: string, streams: Streams, setExitCode: (code: number) => void): Command {
  const program = new Command('sluice')
    .description('Programs a Linux node so that Kubernetes Services work, and shows what it programs.')
    .version(version)
    .exitOverride()
    .configureHelp({ optionTerm })
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text.split('\n').map(printable).join('\n')),
    })
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', '\nStart with sluice render -f cluster.yaml; sluice render --help shows more examples.')
  const context: CommandContext = { version, streams, setExitCode }
  addRender(program, context)
  addRun(program, context)
  addGolden(program, context)
  for (const add of [addTrace, addExplain, addDiff, addVerify, addLint, addEstimate, addGraph, addCompletion])
    add(program, context)
  return program
}

function addRender(program: Command, { streams, setExitCode }: CommandContext): void {
  const render = program
    .command('render')
    .description('Print the rules of a node, byte for byte as kube-proxy would program them; needs no root')
    .addHelpText('after', RENDER_EXAMPLES)
    .allowExcessArguments(true)
  addInputOptions(render)
  addNodeOptions(render)
  render
    .addOption(new Option('--family <family>', 'one IP family').choices(['ipv4', 'ipv6']))
    .addOption(
      new Option(
        '-o, --output <format>',
        'what iptables-save shows (with --mode ipvs also ipset save and ipvsadm -Sn), the payloads to restore it, or the rule model',
      )
        .choices(['save', 'restore', 'json', 'yaml'])
        .default('save'),
    )
    .option(
      '--out <dir>',
      'write what -o save and -o restore print into this folder instead, a file per tool: iptables-save, iptables-restore and so on; with --all-nodes into a folder per node',
      notEmpty,
    )
    .option(
      '--service <namespace/name>',
      'only what belongs to this Service, its lines in shared chains included',
      notEmpty,
    )
    .option('--keep-going', 'exit with 0 even if some input had to be skipped')
    .action(async (options: Omit<RenderOptions, 'filename' | 'proxyFlags'>, command: Command) => {
      refuseWords(command.args)
      const { render: run } = await import('./render.ts')
      setExitCode(await run({ filename: [], ...options, proxyFlags: givenRenderFlags(command) }, streams))
    })
  addRenderFlags(render)
}

function addRun(program: Command, { version, streams, setExitCode }: CommandContext): void {
  const run = program
    .command('run')
    .description("Watch the cluster and keep this node's rules right, iptables or IPVS, in place of kube-proxy")
    .addHelpText('after', RUN_EXAMPLES)
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
    .addOption(
      new Option('--drift-interval <seconds>', 'how often to look for a flush, missing chains and jumps')
        .argParser(positive)
        .default(1),
    )
    .addOption(
      new Option(
        '--drift-share <percent>',
        'of a core that these looks may cost; the interval is stretched to it, which matters with iptables-legacy',
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
    .action(async (options: Omit<RunOptions, 'filename' | 'proxyFlags'>, command: Command) => {
      refuseWords(command.args)
      const { runNode } = await import('./daemon.ts')
      setExitCode(await runNode({ filename: [], ...options, proxyFlags: givenDaemonFlags(command) }, version, streams))
    })
  addDaemonFlags(run)
}

function addGolden(program: Command, { setExitCode }: CommandContext): void {
  program
    .command('golden')
    .description('Check scenarios, folders of manifests, against the rules that are stored beside them')
    .argument('[folders...]', 'scenarios, or folders of them', ['.'])
    .option('--write', 'write the outputs anew; never inputs, never anything below a folder named recorded')
    .option('--summary', 'show each distinct change once, with the number of files')
    .addHelpText('after', GOLDEN_HELP)
    .action(async (folders: readonly string[], options: GoldenCommandOptions) => {
      const { golden } = await import('./golden.ts')
      setExitCode(await golden(folders, options))
    })
}

function addInputOptions(command: Command): void {
  const file = new Option('-f, --filename <file>', 'manifests: a file, a folder, or - for standard input; repeatable')
  command
    .optionsGroup('Input:')
    .addOption(file.argParser(collect))
    .option(
      '--kubeconfig <file>',
      'read a live cluster; without -f, $KUBECONFIG, ~/.kube/config or the Pod that sluice runs in',
      notEmpty,
    )
    .option('--context <name>', 'context of the kubeconfig', notEmpty)
    .option('--master <url>', 'the API server, over the one of the kubeconfig', notEmpty)
    .option('--config <file>', 'KubeProxyConfiguration v1alpha1, YAML or JSON', notEmpty)
    .addOption(
      new Option(
        '--mode <mode>',
        "short for --proxy-mode, and counts beside --config too, over the file's mode",
      ).choices(['iptables', 'ipvs', 'nftables']),
    )
}

function addNodeOptions(command: Command): void {
  command
    .optionsGroup('Node:')
    .option(
      '--node <name>',
      'the node to render; default: hostnameOverride, the only Node of the input, this host',
      notEmpty,
    )
    .option('--all-nodes', 'every Node of the input')
    .option('--host <file|live>', "the node's interfaces and features: a host.json, or live for this machine", notEmpty)
    .option('--features <list>', 'override features: nfacct=false,randomFully=true,tcpBeLiberal=false')
    .optionsGroup('Output:')
}

function positive(value: string): number {
  const number = Number(value)
  if (value.trim() !== '' && number > 0 && Number.isFinite(number)) return number
  throw new InvalidArgumentError('Write a number above 0.')
}

/** Words that belong to no option: what a shell makes of `-f *.yaml`, or the value of a boolean flag. */
function refuseWords(words: readonly string[]): void {
  const [word] = words
  if (word === undefined) return
  const advice = ['true', 'false'].includes(word) ? `write --FLAG=${word}` : 'give each file its own -f, or its folder'
  throw new Failure(`'${word}' belongs to no option: ${advice}`)
}
