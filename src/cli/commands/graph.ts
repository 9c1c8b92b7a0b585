// The options of `sluice graph`.
import { type Command, Option } from 'commander'
import { Failure } from '../failure.ts'
import type { GraphOptions } from '../graph.ts'
import type { CommandContext } from './context.ts'
import { addProxyFlags, addServiceSelection, addSourceOptions, notEmpty, sourceOptionsOf } from './source-options.ts'

const HELP = `
A picture has the addresses and ports by which packets come in, the chains behind them with what they decide (traffic
policies, source ranges, session affinity, masquerading) and the endpoints with their shares. In IPVS mode sets, virtual
servers and real servers take the place of chains. A packet in place of a Service, or --packet, shows one packet's way:
alone every chain on it, beside a Service the Service's picture with the way in another colour.
The page of -o html is one file that loads nothing: pick a Service, a client and a target there, and search for chains.

Examples:
  sluice graph shop/web -f cluster.yaml                          Mermaid, which GitHub draws in Markdown
  sluice graph shop/web -f cluster.yaml -o svg > web.svg
  sluice graph shop -f cluster.yaml                              a namespace
  sluice graph -A --kubeconfig ~/.kube/config --node node1 -o html > node1.html
  iptables-save | sluice graph -A --dump - -o html > dump.html
  (iptables-save; ipset save; ipvsadm -Sn) | sluice graph -A --dump - -o html > ipvs.html      IPVS mode
  sluice graph shop/web -f cluster.yaml --mode ipvs                      the same Service as IPVS would serve it
  sluice graph shop/web -f cluster.yaml --packet 'tcp 203.0.113.2:40000 -> 192.168.1.63:30380'
  sluice graph 'tcp -> shop/web:80' --from pod -f cluster.yaml -o svg > way.svg
  sluice graph 'tcp 10.244.1.7 -> 10.96.0.1:443' --dump node/            a packet's way through saved rules and IPVS

Exit codes: 0 drawn; 2 not drawn.`

export function addGraph(program: Command, { streams, setExitCode }: CommandContext): void {
  const graph = program
    .command('graph')
    .description("Draw a Service's rules or a packet's way: Mermaid, SVG, or a page to explore a whole node")
    .argument(
      '[SERVICE|NAMESPACE|PACKET]',
      'NAMESPACE/SERVICE, or a namespace; beside -n the name of a Service; or a packet',
    )
    .addHelpText('after', HELP)
    .allowExcessArguments(true)
    .optionsGroup('What to draw:')
  addServiceSelection(graph)
  graph
    .option(
      '--packet <packet>',
      "a packet's way, as sluice trace takes it: 'tcp 203.0.113.2 -> 10.96.1.10:80'",
      notEmpty,
    )
    .option('--from <origin>', 'where the packet comes from, as for sluice trace', notEmpty)
  addSourceOptions(graph, { saved: true })
  graph
    .addOption(
      new Option('-o, --output <format>', 'mermaid, svg, or html: a page to explore')
        .choices(['mermaid', 'svg', 'html'])
        .default('mermaid'),
    )
    .action(async (name: string | undefined, options: GraphOptions, command: Command) => {
      if (command.args.length > 1) {
        throw new Failure(
          `${command.args.length} words were given: name one Service or namespace, and put a packet in quotes, as in 'tcp 10.0.0.9 -> 10.96.0.1:443'`,
        )
      }
      const { graph: run } = await import('../graph.ts')
      setExitCode(await run(name, sourceOptionsOf(options, command), streams))
    })
  addProxyFlags(graph)
}
