// `sluice verify`: a node's kernel, or a dump of it, against the cluster.
import { shareRules } from '../compare/lazy-ruleset.ts'
import { type Finding, inOrder } from '../lint/finding.ts'
import { lintRules } from '../lint/lint.ts'
import { endpointsOf } from '../lint/lint-balance.ts'
import { lintForeign, trafficOf } from '../lint/lint-foreign.ts'
import { findBoundAddresses, verifyRules } from '../lint/verify.ts'
import type { Family } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import { ruleTextOf } from './diff-side.ts'
import { Failure } from './failure.ts'
import { countFindings, exitCodeFor, type FailOn, printFindings } from './print-findings.ts'
import { type RuleSource, type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import type { Streams } from './streams.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { writeOut } from './write-out.ts'

export interface VerifyOptions extends RuleSourceOptions {
  readonly failOn: FailOn
  readonly output: 'text' | 'json'
}

type Found = Finding<string> & { readonly details?: readonly string[] }

/** Returns the exit code. @throws Failure for rules or objects that can't be read. */
export async function verify(options: VerifyOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  if (options.dump?.includes('-') === true && options.filename.includes('-')) {
    throw new Failure('-f - and --dump - both read standard input: give one of them a file')
  }
  const { dump, live: _, ...ofCluster } = options
  const isLive = dump === undefined
  const host = options.host ?? (isLive ? 'live' : undefined)
  const desired = await readRuleSource({ ...ofCluster, ...(host !== undefined && { host }) }, streams, terminal)
  const actual = await readRuleSource(actualOptions(options), streams, terminal)
  if (actual.mode !== desired.mode) {
    throw new Failure(
      `${actual.label} has the rules of ${actual.mode} mode and the configuration asks for ${desired.mode}: give --mode ${actual.mode}, or see sluice diff --migrate`,
    )
  }
  terminal.report(desired.issues)
  terminal.progress('comparing')
  const findings: Found[] = []
  for (const family of desired.families.keys()) findings.push(...verifyFamily(family, desired, actual, terminal))
  if (desired.mode === 'ipvs') {
    const { verifyIpvsSource } = await import('./verify-ipvs.ts')
    findings.push(...verifyIpvsSource(desired, actual, terminal))
  } else findings.push(...findBoundAddresses(servicePortsOf(desired), [...(actual.addresses ?? [])]))
  if (isLive) findings.push(...(await verifyMachine(desired, terminal)))
  const sorted = inOrder(findings)
  terminal.clear()
  const { stdout } = streams
  const document = {
    apiVersion: 'sluice/v1',
    kind: 'Findings',
    source: actual.label,
    against: desired.label,
    findings: sorted,
  }
  await writeOut(
    options.output === 'json' ? `${JSON.stringify(document, undefined, 2)}\n` : printFindings(sorted, stdout),
    stdout,
  )
  terminal.say(`${actual.label} against ${desired.label}: ${countFindings(sorted)}`)
  return exitCodeFor(sorted, options.failOn)
}

function actualOptions({ dump, family, proxyFlags }: VerifyOptions): RuleSourceOptions {
  return {
    filename: [],
    proxyFlags,
    ...(dump === undefined ? { live: true } : { dump }),
    ...(family !== undefined && { family }),
  }
}

function verifyFamily(family: Family, desired: RuleSource, actual: RuleSource, terminal: Terminal): readonly Found[] {
  const wanted = desired.families.get(family)
  const there = actual.families.get(family)
  const servicePorts = servicePortsOf(desired, family)
  if (wanted === undefined) return []
  if (there === undefined) {
    terminal.say(`not verified: ${family}, which ${actual.label} does not have`)
    return []
  }
  const known = desired.snapshot === undefined ? undefined : endpointsOf(desired.snapshot, family)
  const addresses = desired.node?.host.addresses ?? []
  const text = ruleTextOf(actual, there)
  const wantedText = ruleTextOf(desired, wanted, text)
  const shared = shareRules(there, text, wanted, wantedText)
  return [
    ...verifyRules(text, wantedText),
    ...lintForeign(shared, wanted, trafficOf(servicePorts, addresses)),
    ...findBoundAddresses(servicePorts, addresses),
    ...lintRules(shared, known),
  ]
}

async function verifyMachine(desired: RuleSource, terminal: Terminal): Promise<readonly Found[]> {
  const { config, node, families } = desired
  if (config === undefined || node === undefined) return []
  const { verifyFlows, verifySysctls } = await import('./verify-live.ts')
  const findings: Found[] = [...(await verifySysctls(config, node))]
  for (const family of families.keys()) findings.push(...(await verifyFlows(servicePortsOf(desired, family), terminal)))
  return findings
}

/** In either mode; of all families when none is given. */
function servicePortsOf({ programs, states }: RuleSource, family?: Family): readonly ServicePort[] {
  const all = [...(programs ?? []), ...(states ?? [])]
  return all.filter(([of]) => (family ?? of) === of).flatMap(([, { servicePorts }]) => servicePorts)
}
