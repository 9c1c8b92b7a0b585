// The ports that `sluice graph` can draw of a source, of either mode, and whose virtual servers are whose.
import { type ParsedIpvsadmSave, parseIpvsadmSave } from '../ipvs/parse.ts'
import { virtualServerKey } from '../ipvs/virtual-server.ts'
import { FAMILIES, type Family } from '../model/address.ts'
import { formatIssue } from '../model/issue.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { iptablesPictures, ipvsPictures, type PortPictures } from '../picture/port-pictures.ts'
import { type IpvsRules, setEntry } from '../picture/virtual-servers.ts'
import { Failure } from './failure.ts'
import type { RuleSource } from './rule-source.ts'
import type { Terminal } from './terminal.ts'

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
      return rulesets.map((ruleset) =>
        ipvsPictures({
          family: ruleset.family,
          ruleset,
          virtualServers: services,
          ...(source.sets && { sets: source.sets }),
          ownerOf: ownersOf(source, ruleset.family),
        }),
      )
    }
    case 'nftables':
      throw new Failure(
        `${source.label} has rules of mode ${source.mode}, and graph draws those of iptables and ipvs mode: give rules of these`,
      )
    default:
      return source.mode satisfies never
  }
}

function readServers({ ipvs = '', label }: RuleSource): ParsedIpvsadmSave {
  const { services, issues } = parseIpvsadmSave(ipvs)
  return { services, issues: issues.map((issue) => ({ ...issue, at: { source: label, ...issue.at } })) }
}

/** What was compiled knows it; beside a dump the Services of the objects do. */
function ownersOf({ states, snapshot }: RuleSource, family: Family): IpvsRules['ownerOf'] {
  const state = states?.get(family)
  if (state !== undefined) {
    const owners = new Map(
      // `shop/web:http tcp`
      state.virtualServers.map(({ owner, virtualServer }) => [
        virtualServerKey(virtualServer),
        owner.slice(0, owner.lastIndexOf(' ')),
      ]),
    )
    return ({ key }) => owners.get(key)
  }
  const { addresses, nodePorts } = namesOf(snapshot)
  return ({ protocol, ip, port }) => addresses.get(setEntry(protocol, ip, port)) ?? nodePorts.get(`${protocol}:${port}`)
}

interface PortNames {
  /** By `10.96.1.10,tcp:80`. */
  readonly addresses: ReadonlyMap<string, string>
  /** By `tcp:30080`. */
  readonly nodePorts: ReadonlyMap<string, string>
}

/** Of several Services with the same address and port the first by name has it, as everywhere in sluice. */
function namesOf(snapshot: Snapshot | undefined): PortNames {
  const addresses = new Map<string, string>()
  const nodePorts = new Map<string, string>()
  for (const { key, service } of snapshot?.services ?? []) {
    const { clusterIPs, externalIPs, loadBalancerIPs, ports } = service
    for (const { name, protocol, port, nodePort } of ports) {
      const owner = name === '' ? key : `${key}:${name}`
      for (const ip of [...Object.values(clusterIPs), ...externalIPs, ...loadBalancerIPs]) {
        const entry = setEntry(protocol, ip, port)
        if (!addresses.has(entry)) addresses.set(entry, owner)
      }
      const at = `${protocol}:${nodePort ?? ''}`
      if (nodePort !== undefined && !nodePorts.has(at)) nodePorts.set(at, owner)
    }
  }
  return { addresses, nodePorts }
}
