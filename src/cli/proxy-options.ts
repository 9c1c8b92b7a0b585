// kube-proxy's own flags as options of a command: same names, same meaning.
import { type Command, Option } from 'commander'
import { FLAGS_WITHOUT_EFFECT } from '../kube/config/flags-without-effect.ts'
import { findProxyFlag, PROXY_FLAGS, type ProxyFlag, spellFlag } from '../kube/config/proxy-flag-table.ts'
import type { GivenFlags } from '../kube/config/proxy-flags.ts'

/** Those that have their own entry among the options of render. */
const SHARED: ReadonlySet<string> = new Set(['config', 'kubeconfig', 'master'])
/** Those that ask kube-proxy to do something else than to serve. */
const OTHER_TASKS: ReadonlySet<string> = new Set(['cleanup', 'init-only', 'write-config-to'])
const RENDER_FLAGS = PROXY_FLAGS.filter((flag) => !SHARED.has(flag.name) && !OTHER_TASKS.has(flag.name))
const BOOLEAN = '<bool>'

/** Adds all flags, so that a command line of kube-proxy can be kept; help shows those that bear on rules. */
export function addRenderFlags(command: Command): void {
  command.optionsGroup("kube-proxy's flags (--config replaces all but the last):")
  for (const flag of RENDER_FLAGS) command.addOption(toOption(flag).hideHelp(!flag.bearsOnRules))
}

/** Adds all flags of kube-proxy. */
export function addDaemonFlags(command: Command): void {
  command.optionsGroup("kube-proxy's flags (--config replaces all but hostname-override and those for logging):")
  for (const flag of PROXY_FLAGS) command.addOption(toOption(flag))
}

/** What was given on the command line of what addRenderFlags added. */
export function givenRenderFlags(command: Command): GivenFlags {
  return givenFlags(command, RENDER_FLAGS)
}

/** What was given on the command line of what addDaemonFlags added. */
export function givenDaemonFlags(command: Command): GivenFlags {
  return givenFlags(command, PROXY_FLAGS)
}

/**
 * Arguments as kube-proxy's flag library takes them: underscores in names count as dashes, and a boolean flag has a
 * value only behind `=`, so that it never swallows the next word.
 */
export function normaliseArguments(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((argument, index) => {
    if (!argument.startsWith('--') || (end >= 0 && index >= end)) return argument
    const [name = '', ...value] = argument.split('=')
    const dashed = name.replaceAll('_', '-')
    if (value.length > 0) return [dashed, ...value].join('=')
    return findProxyFlag(dashed)?.type === 'bool' ? `${dashed}=true` : dashed
  })
}

/** How an option stands in help. */
export function optionTerm({ flags }: Option): string {
  return flags.replace(` ${BOOLEAN}`, '[=true|false]')
}

function toOption(flag: ProxyFlag): Option {
  const why = FLAGS_WITHOUT_EFFECT[flag.name]
  const help = why === undefined ? flag.help : `${flag.help}; no effect: ${why}`
  const shown = flag.default === '' ? help : `${help} (default: ${flag.default})`
  const short = flag.name.length === 1 ? `${spellFlag(flag)}, ` : ''
  const option = new Option(`${short}--${flag.name} ${flag.type === 'bool' ? BOOLEAN : `<${flag.type}>`}`, shown)
  if (short !== '') return option.argParser((value: string) => value.replace(/^=/, ''))
  if (flag.type !== 'list' && flag.type !== 'gates') return option
  return option.argParser((value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value])
}

function givenFlags(command: Command, flags: readonly ProxyFlag[]): GivenFlags {
  const given = flags.flatMap((flag): [string, string | readonly string[]][] => {
    const value: unknown = command.getOptionValue(toOption(flag).attributeName())
    if (typeof value === 'string') return [[flag.name, value]]
    return Array.isArray(value) ? [[flag.name, value.map(String)]] : []
  })
  return new Map(given)
}
