// The ports that `sluice graph` can draw of a source, of either mode, and whose virtual servers are whose.

import type { Ruleset } from '../iptables/rule.ts'
import { type ParsedIpvsadmSave, parseIpvsadmSave, type SavedService } from '../ipvs/parse.ts'
import { FAMILIES } from '../model/address.ts'
import { formatIssue } from '../model/issue.ts'
import { iptablesPictures, ipvsPictures, type PortPictures } from '../picture/port-pictures.ts'
import { Failure } from './failure.ts'
import type { RuleSource } from './rule-source.ts'
import type { Terminal } from './terminal.ts'
import { ownersOf } from './trace-owners.ts'
import { count, listNames } from './words.ts'

/** For each family that the source has. @throws Failure for a mode that has no pictures, and unreadable virtual servers. */
export function picturesOf(source: RuleSource, terminal: Terminal): readonly PortPictures[] {
  const rulesets = FAMILIES.flatMap((family) => source.families.get(family) ?? [])
  switch (source.mode) {
    case 'iptables':
      return rulesets.map((ruleset) => iptablesPictures(ruleset))
    case 'ipvs': {
      const { services, issues } = readServers(source)
      if (issues.length > 0) throw new Failure(issues.slice(0, 20).map(formatIssue).join('\n'), issues)
      if (services.length === 0 && source.ipvs === undefined)
        throw new Failure(`${source.label} has no virtual servers: give the output of ipvsadm -Sn too`)
      if (source.sets === undefined)
        terminal.say('without sets nobody can say what the virtual servers are: give the output of ipset save too')
      sayMarks(services, rulesets, terminal)
      return rulesets.map((ruleset) => {
        const owners = ownersOf(source, ruleset.family)
        return ipvsPictures({
          family: ruleset.family,
          ruleset,
          virtualServers: services,
          ...(source.sets && { sets: source.sets }),
          ownerOf: ({ key }) => owners.get(key)?.service,
        })
      })
    }
    case 'nftables':
      throw new Failure(
        `${source.label} has rules of mode ${source.mode}, and graph draws those of iptables and ipvs mode: give rules of these`,
      )
    default:
      return source.mode satisfies never
  }
}

/** No address leads to them: rules of somebody decide which packets have the mark. */
function sayMarks(services: readonly SavedService[], rulesets: readonly Ruleset[], terminal: Terminal): void {
  const families = new Set(rulesets.map(({ family }) => family))
  const marks = services.filter(
    ({ name, key }) => key === undefined && families.has(name.endsWith(' -6') ? 'ipv6' : 'ipv4'),
  )
  if (marks.length === 0) return
  terminal.say(
    `passed over: ${count(marks.length, 'virtual server')} of firewall marks (${listNames(marks.map(({ name }) => name))}), which have no address: a packet's way through one is drawn with --packet`,
  )
}

function readServers({ ipvs = '', label }: RuleSource): ParsedIpvsadmSave {
  const { services, issues } = parseIpvsadmSave(ipvs)
  return { services, issues: issues.map((issue) => ({ ...issue, at: { source: label, ...issue.at } })) }
}
