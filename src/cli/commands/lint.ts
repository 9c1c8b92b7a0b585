// The options of `sluice lint`.
import { type Command, Option } from 'commander'
import type { LintOptions } from '../lint.ts'
import type { CommandContext } from './context.ts'
import { addProxyFlags, addSourceOptions, sourceOptionsOf } from './source-options.ts'

const HELP = `
It finds: jumps to missing chains; chains that no rule jumps to; base chains without their jump to the proxy's rules;
rules that no packet reaches; chances of endpoints that don't add up or are uneven; rules out of the order that they
need; addresses and ports that two Services claim; and, where the cluster is given too, DNAT to what is no endpoint. In
IPVS mode also sets that are missing or of another type, virtual servers without real servers or without their address,
and addresses without virtual servers.

Examples:
  iptables-save | sluice lint --dump -
  sluice lint --dump node1/ -f cluster.yaml        a dump, and the endpoints that it should lead to
  sluice lint --live --kubeconfig ~/.kube/config
  sluice lint -f cluster.yaml -o json              what will be wrong on a node of this cluster

Severities: error, traffic goes wrong; warning, it does for some or may soon; notice, of no effect.
Exit codes: 0 nothing of --fail-on or worse; 1 something; 2 rules not read.`

export function addLint(program: Command, { streams, setExitCode }: CommandContext): void {
  const lint = program
    .command('lint')
    .description("Find what is wrong in a node's rules, from a dump, this machine or manifests")
    .addHelpText('after', HELP)
  addSourceOptions(lint, { saved: true })
  addFindingOptions(lint)
  lint.action(async (options: LintOptions, command: Command) => {
    const { lint: run } = await import('../lint.ts')
    setExitCode(await run(sourceOptionsOf(options, command), streams))
  })
  addProxyFlags(lint)
}

/** Options of commands that print findings. */
export function addFindingOptions(command: Command): void {
  command
    .addOption(
      new Option('--fail-on <severity>', 'exit with 1 for findings of this severity or worse')
        .choices(['error', 'warning', 'notice', 'never'])
        .default('error'),
    )
    .addOption(new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text'))
}
