// kube-proxy's own flags as options of a command: same names, same meaning.
import { type Command, Option } from 'commander'
import { PROXY_FLAGS, type ProxyFlag, spellFlag } from '../kube/proxy-flag-table.ts'
import type { GivenFlags } from '../kube/proxy-flags.ts'

/** `config` has its own entry among the input options. */
const FLAGS = PROXY_FLAGS.filter((flag) => flag.bearsOnRules && flag.name !== 'config')

/** Adds the flags that bear on rules. */
export function addProxyFlags(command: Command): void {
  command.optionsGroup("kube-proxy's flags (without --config):")
  for (const flag of FLAGS) command.addOption(toOption(flag))
}

/** What was given on the command line of these flags. */
export function givenProxyFlags(command: Command): GivenFlags {
  const given = FLAGS.flatMap((flag): [string, string | boolean | readonly string[]][] => {
    const value: unknown = command.getOptionValue(toOption(flag).attributeName())
    if (typeof value === 'string' || typeof value === 'boolean') return [[flag.name, value]]
    return Array.isArray(value) ? [[flag.name, value.map(String)]] : []
  })
  return new Map(given)
}

function toOption(flag: ProxyFlag): Option {
  const shown = flag.default === '' ? flag.help : `${flag.help} (default: ${flag.default})`
  const option = new Option(`${spellFlag(flag)} ${flag.type === 'bool' ? '[true|false]' : `<${flag.type}>`}`, shown)
  if (flag.type !== 'list' && flag.type !== 'gates') return option
  return option.argParser((value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value])
}
