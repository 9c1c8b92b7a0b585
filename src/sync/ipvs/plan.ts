// What a sync would write, as text for people: the payloads of all tools, in the order in which they are written.

import { diffPrograms } from '../../iptables/diff-programs.ts'
import { printRestore } from '../../iptables/restore.ts'
import { diffVirtualServer } from '../../ipvs/diff.ts'
import { addAddressLine, deleteAddressLine } from '../../ipvs/print-addresses.ts'
import type { IpvsState } from '../../ipvs/program.ts'
import type { IpvsSettings } from '../../ipvs/settings.ts'
import { planAddresses, planSets, serversToCompare } from './change.ts'
import { isExcluded, type KernelPicture, pictureOf } from './picture.ts'

export interface PlannedParts {
  readonly state: IpvsState
  readonly settings: IpvsSettings
  readonly picture: KernelPicture
  /** For iptables-restore; empty when rules stay as they are. */
  readonly rules: string
  /** Virtual servers before rules: see syncer.ts. */
  readonly serversFirst: boolean
}

/** Each payload under a line `# TOOL`; empty text when there is nothing to do. */
export function printPlan({ state, settings, picture, rules, serversFirst }: PlannedParts): string {
  const sets = planSets(state, picture, undefined, () => false)
  const addresses = planAddresses(state, picture, undefined, settings)
  const servers = serversToCompare(state, picture, undefined).flatMap((key) => {
    const present = picture.servers.get(key)
    const desired = state.virtualServers.get(key)?.virtualServer
    const isLeft = desired === undefined && present !== undefined && isExcluded(present.address, settings)
    return isLeft ? [] : diffVirtualServer(desired, present).lines
  })
  const ruleText = section(state.family === 'ipv4' ? 'iptables-restore' : 'ip6tables-restore', rules)
  return [
    section('ipset restore', join(sets.grow.map(({ text }) => text))),
    ...(serversFirst ? [] : [ruleText]),
    section('ip -batch', join(addresses.add.map(addAddressLine))),
    section('ipvsadm -R', join(servers)),
    ...(serversFirst ? [ruleText] : []),
    section('ip -batch', join(addresses.remove.map(deleteAddressLine))),
    section('ipset restore', join(sets.shrink.map(({ text }) => text))),
  ].join('')
}

/** What leads from one state, as the kernel has it, to another. Of one linker only the last state is what it was. */
export function printStep(desired: IpvsState, before: IpvsState, settings: IpvsSettings): string {
  const rules = printRestore(diffPrograms(desired.rules, before.rules))
  return printPlan({ state: desired, settings, picture: pictureOf(before), rules, serversFirst: false })
}

function section(tool: string, text: string): string {
  return text === '' ? '' : `# ${tool}\n${text}`
}

function join(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
