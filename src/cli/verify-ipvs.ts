// What lint and verify look at in IPVS mode beside the rules.
import type { IpvsSide } from '../compare/ipvs-side.ts'
import { compileIpvs } from '../ipvs/compile.ts'
import type { Finding } from '../lint/finding.ts'
import { lintIpvs } from '../lint/lint-ipvs.ts'
import { type VerifyIpvsFinding, verifyIpvs } from '../lint/verify-ipvs.ts'
import type { Family, Ip } from '../model/address.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { ipvsSidesOf } from './ipvs-sides.ts'
import type { RuleSource } from './rule-source.ts'
import type { Terminal } from './terminal.ts'

/** Says what could not be looked at. */
export function lintIpvsOf(source: RuleSource, terminal: Terminal): readonly Finding[] {
  const { snapshot, config, node, families } = source
  return [...ipvsSidesOf(source)].flatMap(([family, side]) => {
    sayUnknown(side, source.label, terminal)
    const ruleset = families.get(family)
    if (ruleset === undefined) return []
    // Beside a dump the cluster tells whose a virtual server is.
    const known =
      side.servicePorts.length > 0 || snapshot === undefined || config === undefined || node === undefined
        ? side
        : { ...side, servicePorts: compileIpvs(snapshot, config, node, family).servicePorts }
    return lintIpvs(ruleset, known, surroundings(snapshot, node?.host.addresses))
  })
}

/** The kernel against the cluster, and what lint finds in the kernel by itself. */
export function verifyIpvsSource(
  desired: RuleSource,
  actual: RuleSource,
  terminal: Terminal,
): readonly (Finding | VerifyIpvsFinding)[] {
  const there = ipvsSidesOf(actual)
  return [...ipvsSidesOf(desired)].flatMap(([family, wanted]) => {
    const side = there.get(family)
    const ruleset = actual.families.get(family)
    if (side === undefined || ruleset === undefined) return []
    sayUnknown(side, actual.label, terminal)
    const found = verifyIpvs(side, wanted, desired.config?.ipvs.excludeCIDRs ?? [])
    const linted = lintIpvs(
      ruleset,
      { ...side, servicePorts: wanted.servicePorts },
      surroundings(desired.snapshot, desired.node?.host.addresses),
    )
    // What is missing or too many against the cluster is told already.
    return [...found, ...linted.filter(({ kind }) => kind !== 'unbound-address' && kind !== 'unused-address')]
  })
}

function surroundings(snapshot: Snapshot | undefined, nodeAddresses: readonly Ip[] | undefined) {
  return { ...(snapshot && { snapshot }), ...(nodeAddresses && { nodeAddresses }) }
}

function sayUnknown({ family, knowsServers, knowsSets, addresses }: IpvsSide, label: string, terminal: Terminal): void {
  const missing: readonly (readonly [boolean, string])[] = [
    [!knowsServers, 'virtual servers'],
    [!knowsSets, 'sets'],
    [addresses === undefined, 'addresses of kube-ipvs0'],
  ]
  for (const [absent, what] of missing) {
    if (absent) terminal.say(`not looked at: ${nameFamily(family)} ${what}, which ${label} does not have`)
  }
}

function nameFamily(family: Family): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6'
}
