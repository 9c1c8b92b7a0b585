// The options of `sluice explain`.
import { type Command, Option } from 'commander'
import type { ExplainOptions } from '../explain-options.ts'
import type { CommandContext } from './context.ts'
import { addProxyFlags, addServiceSelection, addSourceOptions, notEmpty, sourceOptionsOf } from './source-options.ts'

const HELP = `
Goes through what a person would check: does the Service exist, which type is it, does its selector match Pods and are
they ready, do its EndpointSlices, ports, policies, addresses and source ranges fit. Give the Pods too: without them
nothing is said about why there is no endpoint. With --live or --dump the kernel's rules are compared too.

Examples:
  sluice explain shop/web                                       of the cluster of the kubeconfig
  kubectl get svc,endpointslices,pods,nodes -A -o yaml | sluice explain shop/web -f -
  sluice explain shop/web -f cluster.yaml --client 203.0.113.9  what that client would meet
  sluice explain shop/web -f cluster.yaml --to 10.96.0.10:8080  why that address and port don't answer
  sluice explain shop/web --live                                on a node, as root: are its rules in the kernel?
  sluice explain -A --fail-on warning                           the whole cluster, for a CI job
  sluice explain -n shop -o json                                one namespace, for programs

Exit codes: 0 nothing of --fail-on's severity or worse; 1 something; 2 not explained.`

export function addExplain(program: Command, { streams, setExitCode }: CommandContext): void {
  const explain = program
    .command('explain')
    .description("Answer why a Service can't be reached, from its objects and, when at hand, the kernel; needs no root")
    .argument('[NAMESPACE/SERVICE]', 'the Service; without a namespace, that of -n or default')
    .addHelpText('after', HELP)
    .optionsGroup('What to explain:')
  addServiceSelection(explain)
  explain
    .option(
      '--client <address>',
      'narrow it to a client: the IP address of a Pod, a node, or somebody outside',
      notEmpty,
    )
    .option('--to <address[:port][/protocol]>', 'what was tried; without a port: a ping', notEmpty)
    .addOption(
      new Option('--fail-on <severity>', 'exit with 1 from this severity on')
        .choices(['error', 'warning', 'notice'])
        .default('error'),
    )
  addSourceOptions(explain, { saved: true })
  explain
    .addOption(
      new Option('-o, --output <format>', 'text, or a document for programs')
        .choices(['text', 'json', 'yaml'])
        .default('text'),
    )
    .option('--notices', 'of several Services, show notices too')
    .action(async (name: string | undefined, options: ExplainOptions, command: Command) => {
      const { explain: run } = await import('../explain.ts')
      setExitCode(await run(name, sourceOptionsOf(options, command), streams))
    })
  addProxyFlags(explain)
}
