// The options of commands that read rules: from manifests, a cluster, a dump or this machine. The same names as those of
// `sluice render`.
import { type Command, InvalidArgumentError, Option } from 'commander'
import { Failure } from '../failure.ts'
import { addRenderFlags, givenRenderFlags } from '../proxy-options.ts'
import type { RuleSourceOptions } from '../rule-source.ts'

/** `saved`: with --dump and --live. */
export function addSourceOptions(command: Command, { saved }: { readonly saved: boolean }): void {
  addObjectOptions(command)
  if (saved) {
    command
      .addOption(
        new Option(
          '--dump <file>',
          'rules as iptables-save and ip6tables-save print them: a file, a folder, or - for standard input; repeatable',
        ).argParser(collect),
      )
      .option('--live', "the rules in this machine's kernel; needs root")
  }
  addNodeOptions(command)
}

function addObjectOptions(command: Command): void {
  const file = new Option('-f, --filename <file>', 'manifests: a file, a folder, or - for standard input; repeatable')
  command.optionsGroup('Input:').addOption(file.argParser(collect))
  addClusterOptions(command)
}

export function addClusterOptions(command: Command): void {
  command
    .option('--kubeconfig <file>', 'the live cluster; default: $KUBECONFIG, ~/.kube/config', notEmpty)
    .option('--context <name>', 'context of the kubeconfig', notEmpty)
    .option('--master <url>', 'the API server, over the one of the kubeconfig', notEmpty)
}

export function addNodeOptions(command: Command): void {
  command
    .option('--config <file>', 'KubeProxyConfiguration v1alpha1, YAML or JSON', notEmpty)
    .addOption(new Option('--mode <mode>', "over the configuration's mode").choices(['iptables', 'ipvs', 'nftables']))
    .optionsGroup('Node:')
    .option('--node <name>', 'the node; default: hostnameOverride, the only Node of the input, this host', notEmpty)
    .option('--host <file|live>', "the node's interfaces and features: a host.json, or live for this machine", notEmpty)
    .option('--features <list>', 'override features: nfacct=false,randomFully=true,tcpBeLiberal=false')
    .addOption(new Option('--family <family>', 'one IP family').choices(['ipv4', 'ipv6']))
    .optionsGroup('Output:')
}

/** Which Services a command is about, beside the one that is its argument. */
export function addServiceSelection(command: Command): void {
  command
    .option(
      '-n, --namespace <name>',
      'the namespace of the Service; without a Service, all of this namespace',
      notEmpty,
    )
    .option('-A, --all-namespaces', 'every Service')
}

/** Adds kube-proxy's flags; call it last. */
export function addProxyFlags(command: Command): void {
  addRenderFlags(command)
}

/** What readRuleSource wants, from what commander parsed. */
export function sourceOptionsOf<T extends object>(
  options: T,
  command: Command,
): T & Pick<RuleSourceOptions, 'filename' | 'proxyFlags'> {
  return { filename: [], ...options, proxyFlags: givenRenderFlags(command) }
}

export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  const given = notEmpty(value)
  return previous.includes(given) ? previous : [...previous, given]
}

/** An empty value is mostly a shell variable that was not set. */
export function notEmpty(value: string): string {
  if (value !== '') return value
  throw new InvalidArgumentError('It is empty: give a value, or leave the option out.')
}

/** A whole number from 0. */
export function wholeNumber(value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value)
  throw new InvalidArgumentError('Write a whole number from 0.')
}

/** A number above 0, fractions too. */
export function positive(value: string): number {
  const number = Number(value)
  if (value.trim() !== '' && number > 0 && Number.isFinite(number)) return number
  throw new InvalidArgumentError('Write a number above 0.')
}

/** Words that belong to no option: what a shell makes of `-f *.yaml`, or the value of a boolean flag. */
export function refuseWords(words: readonly string[]): void {
  const [word] = words
  if (word === undefined) return
  const advice = ['true', 'false'].includes(word) ? `write --FLAG=${word}` : 'give each file its own -f, or its folder'
  throw new Failure(`'${word}' belongs to no option: ${advice}`)
}
