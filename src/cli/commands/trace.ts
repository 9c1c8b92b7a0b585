// The options of `sluice trace`.
import { type Command, Option } from 'commander'
import { Failure } from '../failure.ts'
import type { TraceOptions } from '../trace.ts'
import type { CommandContext } from './context.ts'
import { addProxyFlags, addSourceOptions, notEmpty, sourceOptionsOf } from './source-options.ts'

const HELP = `
A packet is PROTOCOL [SOURCE[:PORT]] -> DESTINATION:PORT, the first of its connection, with tcp, udp, sctp or icmp. An IPv6
address with a port stands in brackets. The destination may be a Service of the input, as NAMESPACE/NAME:PORT, which is
its cluster IP. Without a source, --from says where the packet comes from; with one, the address does: this node, a pod
(of the pod network), another Node, or anybody else, who is outside.

Examples:
  sluice trace -f cluster.yaml 'tcp 203.0.113.2:40000 -> 192.168.1.63:30380'
  sluice trace -f cluster.yaml --from pod 'tcp -> shop/web:80'
  sluice trace -f cluster.yaml --from shop/client-7 'tcp -> 10.96.1.10:80'          from this Pod
  iptables-save | sluice trace --dump - 'udp 10.244.1.7:5353 -> 10.96.0.10:53'      rules of others included
  (iptables-save; ipset save; ipvsadm -Sn) | sluice trace --dump - 'tcp 10.244.1.7 -> 10.96.0.1:443'    IPVS mode
  sluice trace --live --from node 'tcp -> 127.0.0.1:30080'                          this machine's kernel; needs root
  sluice trace -f cluster.yaml --all shop/web                                       who reaches it by which address

The branches of a random choice have exact shares, in IPVS mode by scheduler and weights. What rules alone can't decide is shown, and both ways are followed.

Exit codes: 0 the packet reaches an endpoint, whatever chance decides; 1 it does not; 2 not traced.`

export function addTrace(program: Command, { streams, setExitCode }: CommandContext): void {
  const trace = program
    .command('trace')
    .description(
      "Follow a connection's first packet through a node's rules, as the kernel would, and say why it ends there",
    )
    .argument('[packet]', "such as 'tcp 203.0.113.2:40000 -> 192.168.1.63:30380'")
    .addHelpText('after', HELP)
    .allowExcessArguments(true)
    .optionsGroup('Packet:')
    .option('--from <origin>', 'pod, node, other-node, outside, an address, or a Pod as NAMESPACE/NAME', notEmpty)
    .option('--in-interface <name>', 'the interface by which it comes in, for rules that look at it', notEmpty)
    .option(
      '--all <namespace/service>',
      'instead of one packet: from everywhere to every address of this Service',
      notEmpty,
    )
    .option('-n, --namespace <name>', 'the namespace of names that are given without one', notEmpty)
  addSourceOptions(trace, { saved: true })
  trace
    .addOption(
      new Option('-o, --output <format>', 'text, json or yaml').choices(['text', 'json', 'yaml']).default('text'),
    )
    .option('--rules', 'show each rule below its line')
    .action(async (packet: string | undefined, options: TraceOptions, command: Command) => {
      if (command.args.length > 1) {
        throw new Failure(
          `packet: ${command.args.length} words were given: put the packet in quotes, as in 'tcp 10.0.0.9 -> 10.96.0.1:443'`,
        )
      }
      const { trace: run } = await import('../trace.ts')
      setExitCode(await run(packet, sourceOptionsOf(options, command), streams))
    })
  addProxyFlags(trace)
}
