// Traces of packets through rules that tests write as lines of iptables-save, on one node with eth0 and cni0.
import { parseSave } from '../../src/iptables/parse.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import { createSimulator } from '../../src/iptables/simulate.ts'
import { parseSavedSets } from '../../src/iptables/simulate-sets.ts'
import type { Cidr, Ip } from '../../src/model/address.ts'
import { LOOPBACK, type NodeNetwork } from '../../src/packet/network.ts'
import { originOf } from '../../src/packet/origin.ts'
import { type Packet, parsePacket } from '../../src/packet/packet.ts'
import { fractionOf, isWhole } from '../../src/packet/share.ts'
import type { LikelyOutcome, Outcome, Trace } from '../../src/packet/trace.ts'

const NETWORK: NodeNetwork = {
  family: 'ipv4',
  interfaces: [
    LOOPBACK.ipv4,
    { name: 'eth0', addresses: [{ ip: '192.168.1.63' as Ip, network: '192.168.1.0/24' as Cidr }] },
    { name: 'cni0', addresses: [{ ip: '10.244.1.1' as Ip, network: '10.244.1.0/24' as Cidr }] },
  ],
  nodeIP: '192.168.1.63' as Ip,
  podCIDRs: ['10.244.1.0/24' as Cidr],
  clusterCIDRs: ['10.244.0.0/16' as Cidr],
  otherNodes: [],
}

export interface Tables {
  readonly [table: string]: string
}

/** Rules of tables, each as lines of iptables-save without its frame. Base chains accept. */
function rulesOf(tables: Tables): Ruleset {
  const base: Readonly<Record<string, readonly string[]>> = {
    raw: ['PREROUTING', 'OUTPUT'],
    mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
    nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
    filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  }
  const text = Object.entries(tables).map(([name, lines]) => {
    const given = lines
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
    const declared = given.filter((line) => line.startsWith(':'))
    const chains = new Set([...(base[name] ?? []).map((chain) => `:${chain} ACCEPT`), ...declared])
    for (const line of declared) if (line.endsWith(' DROP')) chains.delete(line.replace(' DROP', ' ACCEPT'))
    return [`*${name}`, ...chains, ...given.filter((line) => !line.startsWith(':')), 'COMMIT', ''].join('\n')
  })
  const { ruleset, issues } = parseSave(text.join(''), 'ipv4')
  if (issues.length > 0) throw new Error(JSON.stringify(issues))
  return ruleset
}

function packetOf(text: string): Packet {
  const parsed = parsePacket(text)
  if ('problem' in parsed || parsed.value.source === undefined) throw new Error(`no packet: ${text}`)
  return { ...parsed.value, source: parsed.value.source, family: 'ipv4' }
}

export function traceOf(tables: Tables, text: string, sets?: string): Trace {
  const packet = packetOf(text)
  const saved = sets === undefined ? undefined : parseSavedSets(sets).sets
  return createSimulator(rulesOf(tables), saved)(packet, originOf(NETWORK, packet.source), NETWORK)
}

export function endsOf({ outcomes }: Trace): readonly string[] {
  return outcomes.map(({ outcome, share, assuming }: LikelyOutcome) => {
    const part = isWhole(share) ? '' : ` ${fractionOf(share)}`
    return `${endOf(outcome)}${part}${assuming === undefined ? '' : ` [${assuming.join('; ')}]`}`
  })
}

function endOf(outcome: Outcome): string {
  if (outcome.kind !== 'dnat' && outcome.kind !== 'no match')
    return `${outcome.kind} in ${outcome.place.table} ${outcome.place.chain}`
  return `${outcome.kind} ${outcome.destination}:${outcome.destinationPort} from ${outcome.sourceSeen} to ${outcome.to}`
}

export const OUTSIDE = 'tcp 198.51.100.2 -> 10.96.1.10:80'
export const POD = 'tcp 10.244.1.9 -> 10.96.1.10:80'
export const UNTOUCHED = 'no match 10.96.1.10:80 from 198.51.100.2 to elsewhere'
