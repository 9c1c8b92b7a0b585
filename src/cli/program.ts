// The commands and their options. What a command does is loaded when it runs, so that --help is quick.
import { Command, Option } from 'commander'
import type { RenderOptions } from './options.ts'
import { addProxyFlags, givenProxyFlags } from './proxy-options.ts'

const RENDER_EXAMPLES = `
Examples:
  sluice render -f cluster.yaml                     what kube-proxy would program, as iptables-save shows it
  kubectl get svc,endpointslices,nodes -A -o yaml | sluice render -f - --node node1 --family ipv4
  sluice render --kubeconfig ~/.kube/config --all-nodes --out rules/
  sluice render -f cluster.yaml -o restore --family ipv4 | iptables-restore --noflush --counters
  sluice render -f cluster.yaml --service default/my-nginx
  sluice render -f cluster.yaml --config kube-proxy.yaml --host host.json -o json

Exit codes: 0 rendered; 1 rendered, but some input had to be skipped (0 with --keep-going); 2 nothing rendered.`

/** `setExitCode` hears how a command ended. */
export function createProgram(version: string, setExitCode: (code: number) => void): Command {
  const program = new Command('sluice')
    .description('Programs a Linux node so that Kubernetes Services work, and shows what it programs.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help for the options)')
  const render = program
    .command('render')
    .description('Print the rules of a node, byte for byte as kube-proxy would program them; needs no root')
    .addHelpText('after', RENDER_EXAMPLES)
  addInputOptions(render)
  addNodeOptions(render)
  render
    .addOption(new Option('--family <family>', 'one IP family').choices(['ipv4', 'ipv6']))
    .addOption(
      new Option('-o, --output <format>', 'iptables-save, iptables-restore payload, or the rule model')
        .choices(['save', 'restore', 'json', 'yaml'])
        .default('save'),
    )
    .option('--out <dir>', 'write files into this folder instead, one folder per node with --all-nodes')
    .option('--service <namespace/name>', 'only what belongs to this Service, its lines in shared chains included')
    .option('--keep-going', 'exit with 0 even if some input had to be skipped')
    .action(async (options: Omit<RenderOptions, 'proxyFlags'>, command: Command) => {
      const { render: run } = await import('./render.ts')
      setExitCode(await run({ ...options, proxyFlags: givenProxyFlags(command) }))
    })
  addProxyFlags(render)
  return program
}

function addInputOptions(command: Command): void {
  command
    .optionsGroup('Input:')
    .option('-f, --filename <file>', 'manifests: a file, a folder, or - for standard input; repeatable', collect, [])
    .option(
      '--kubeconfig <file>',
      'read a live cluster; without -f, $KUBECONFIG, ~/.kube/config or the Pod that sluice runs in',
    )
    .option('--context <name>', 'context of the kubeconfig')
    .option('--config <file>', 'KubeProxyConfiguration v1alpha1, YAML or JSON')
}

function addNodeOptions(command: Command): void {
  command
    .optionsGroup('Node:')
    .option('--node <name>', 'the node to render; default: hostnameOverride, the only Node of the input, this host')
    .option('--all-nodes', 'every Node of the input')
    .option('--host <file|live>', "the node's interfaces and features: a host.json, or live for this machine")
    .option('--features <list>', 'override features: nfacct=false,randomFully=true,tcpBeLiberal=false')
    .optionsGroup('Output:')
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value]
}
