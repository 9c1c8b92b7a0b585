// The options of `sluice diff`.
import { type Command, Option } from 'commander'
import type { DiffOptions } from '../diff-options.ts'
import type { CommandContext } from './context.ts'
import {
  addClusterOptions,
  addNodeOptions,
  addProxyFlags,
  collect,
  notEmpty,
  sourceOptionsOf,
} from './source-options.ts'

const HELP = `
A side is one of
  PATH           manifests, or a dump of iptables-save and ip6tables-save: a file or a folder, told apart by its content
  -              the same from standard input
  cluster        the live cluster of the kubeconfig
  live           the rules in this machine's kernel; needs root
Write ./cluster for a file of that name. Without B it is A once more, with what the options ending in -b change. Options
such as --node count for both sides, --node-a and --node-b for one of them.

Examples:
  sluice diff old.yaml new.yaml --node node1              what the change of the manifests changes on node1
  sluice diff cluster live --semantic                     does this node do what the cluster asks for? (see verify)
  sluice diff before.save after.save --semantic           two dumps of iptables-save, in words
  sluice diff cluster --node-a node1 --node-b node2       what two nodes do differently
  sluice diff cluster.yaml --config-b new-config.yaml     what another kube-proxy configuration changes
  sluice diff cluster.yaml --migrate ipvs                 what changes for whom in IPVS mode
  kubectl get svc,endpointslices,nodes -A -o yaml | sluice diff cluster.yaml - -o json

Rules of others count only between two dumps. Exit codes: 0 no difference; 1 some; 2 not compared.`

const PER_SIDE = [
  ['node', 'name'],
  ['config', 'file'],
  ['mode', 'mode'],
  ['host', 'file|live'],
  ['kubeconfig', 'file'],
  ['context', 'name'],
] as const

export function addDiff(program: Command, { streams, setExitCode }: CommandContext): void {
  const diff = program
    .command('diff')
    .description('Compare the rules of two sides, by Service: manifests, a cluster, dumps, a kernel')
    .argument('<A>', 'manifests, a dump, cluster, live')
    .argument('[B]', 'the other side; default: A with the options ending in -b')
    .addHelpText('after', HELP)
    .optionsGroup('Comparison:')
    .option('--semantic', 'what differs in effect, in words; the same in another form or order is no difference')
    .option('-n, --namespace <name>', 'only Services of this namespace', notEmpty)
    .addOption(
      new Option('--service <namespace/name>', 'only what belongs to this Service; repeatable').argParser(collect),
    )
    .addOption(
      new Option('--migrate <mode>', 'what changes for whom when A moves to this mode or proxy').choices([
        'iptables',
        'ipvs',
        'sluice',
      ]),
    )
    .optionsGroup('One side:')
  for (const [name, value] of PER_SIDE) {
    for (const side of ['a', 'b']) {
      const option = new Option(`--${name}-${side} <${value}>`, `--${name} of ${side.toUpperCase()} alone`)
      diff.addOption(name === 'mode' ? option.choices(['iptables', 'ipvs', 'nftables']) : option.argParser(notEmpty))
    }
  }
  diff.optionsGroup('Both sides:')
  addClusterOptions(diff)
  addNodeOptions(diff)
  diff.addOption(new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text'))
  diff.action(async (a: string, b: string | undefined, options: DiffOptions, command: Command) => {
    const { diff: run } = await import('../diff.ts')
    setExitCode(await run(a, b, sourceOptionsOf(options, command), streams))
  })
  addProxyFlags(diff)
}
