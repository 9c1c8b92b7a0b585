// The options of `sluice render`.
import { type Command, Option } from 'commander'
import type { RenderOptions } from '../options.ts'
import { addRenderFlags, givenRenderFlags } from '../proxy-options.ts'
import type { CommandContext } from './context.ts'
import { collect, notEmpty, refuseWords } from './source-options.ts'

const HELP = `
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

export function addRender(program: Command, { streams, setExitCode }: CommandContext): void {
  const render = program
    .command('render')
    .description('Print the rules of a node, byte for byte as kube-proxy would program them; needs no root')
    .addHelpText('after', HELP)
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
      const { render: run } = await import('../render.ts')
      setExitCode(await run({ filename: [], ...options, proxyFlags: givenRenderFlags(command) }, streams))
    })
  addRenderFlags(render)
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
