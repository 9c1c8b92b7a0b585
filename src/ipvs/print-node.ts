// What IPVS mode wants on a node, as texts of each tool: what the tools would show, in canonical form, and what they are
// to be fed with. ipset, ipvsadm and the device hold both families, so their texts do too.
import { addEntryLine, createSetLine, printIpsetSave } from '../ipset/print.ts'
import { canonicalise, printSave } from '../iptables/print.ts'
import { printPayload } from '../iptables/print-payload.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import type { Family } from '../model/address.ts'
import { printIpvsadmSave } from './print.ts'
import { ADD_DEVICE_LINE, addAddressLine, printAddresses } from './print-addresses.ts'
import type { ShownState } from './shown-state.ts'

/** One tool's text, under the name of its file. */
export interface ToolText {
  readonly name: string
  readonly text: string
}

const IPTABLES: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' }

/** `iptables-save`, `ip6tables-save`, `ipset-save`, `ipvsadm-save` and `kube-ipvs0-addresses`. One state per family. */
export function printNodeSave(states: readonly ShownState[]): readonly ToolText[] {
  return [
    ...states.map(({ family, ruleset }) => ({
      name: `${IPTABLES[family]}-save`,
      text: printSave(canonicalise(ruleset)),
    })),
    { name: 'ipset-save', text: printIpsetSave(states.flatMap(({ sets }) => sets)) },
    { name: 'ipvsadm-save', text: printVirtualServers(states) },
    { name: 'kube-ipvs0-addresses', text: printAddresses(states.flatMap(({ addresses }) => addresses)) },
  ]
}

/**
 * Payloads in the order in which they have to be applied: rules name sets, and virtual servers come last, when all around
 * them is there. For `ipset restore`, `iptables-restore --noflush --counters`, `ip -force -batch` and `ipvsadm -R`.
 */
export function printNodeRestore(states: readonly ShownState[]): readonly ToolText[] {
  return [
    { name: 'ipset-restore', text: states.map(restoreSets).join('') },
    ...states.map((state) => ({ name: `${IPTABLES[state.family]}-restore`, text: restoreRules(state) })),
    { name: 'kube-ipvs0-addresses-restore', text: restoreAddresses(states) },
    // ipvsadm reads what it shows.
    { name: 'ipvsadm-restore', text: printVirtualServers(states) },
  ]
}

function printVirtualServers(states: readonly ShownState[]): string {
  return printIpvsadmSave(states.flatMap(({ virtualServers }) => virtualServers.map((each) => each.virtualServer)))
}

function restoreSets({ sets, rules }: ShownState): string {
  const lines = sets.flatMap(({ header, entries }) => [
    ...(rules === undefined ? [] : [createSetLine(header)]),
    ...[...entries.keys()].toSorted().map((entry) => addEntryLine(header.name, entry)),
  ])
  return lines.map((line) => `${line}\n`).join('')
}

function restoreRules({ rules, ruleset }: ShownState): string {
  if (rules !== undefined) return printPayload(rules)
  let text = ''
  for (const [table, chains] of ruleset.tables) {
    text += `*${table}\n`
    for (const [name, chain] of chains) {
      for (const rule of chain.rules) text += `${printRuleLine(`-A ${name}`, rule, ruleset.family)}\n`
    }
    text += 'COMMIT\n'
  }
  return text
}

/** The device is there where a single Service is added. */
function restoreAddresses(states: readonly ShownState[]): string {
  const addresses = states.flatMap((state) => [...state.addresses].toSorted())
  const device = states.some(({ rules }) => rules !== undefined) ? [ADD_DEVICE_LINE] : []
  return [...device, ...addresses.map(addAddressLine)].map((line) => `${line}\n`).join('')
}
