// The options of `sluice verify`.
import type { Command } from 'commander'
import type { VerifyOptions } from '../verify.ts'
import type { CommandContext } from './context.ts'
import { addFindingOptions } from './lint.ts'
import { addProxyFlags, addSourceOptions, sourceOptionsOf } from './source-options.ts'

const HELP = `
The node is this machine, unless --dump gives the rules of another. It finds, by Service, rules that are missing, left
over or changed, and says what that means; rules of others that come before those of Services, or stand among them; cluster
IPs that are addresses of the node; and all that sluice lint finds. In IPVS mode also virtual servers, real servers, set
entries and addresses of kube-ipvs0; virtual servers of others are left alone. On this machine it also looks at the connection
table and at kernel settings, for which it needs root.

Examples:
  sluice verify --config /var/lib/kube-proxy/config.conf            this node against its cluster
  sluice verify --dump node1/ -f cluster.yaml --node node1 --config kube-proxy.yaml
  iptables-save | sluice verify --dump - --kubeconfig ~/.kube/config --node node1 --family ipv4 -o json

Give the configuration that the node's proxy has: its pod network and its mark are part of the rules.
Exit codes: 0 nothing of --fail-on or worse; 1 something; 2 not verified.`

export function addVerify(program: Command, { streams, setExitCode }: CommandContext): void {
  const verify = program
    .command('verify')
    .description("Check a node's rules against the cluster, and look for what stands in their way")
    .addHelpText('after', HELP)
  addSourceOptions(verify, { saved: true })
  addFindingOptions(verify)
  verify.action(async (options: VerifyOptions, command: Command) => {
    const { verify: run } = await import('../verify.ts')
    setExitCode(await run(sourceOptionsOf(options, command), streams))
  })
  addProxyFlags(verify)
}
