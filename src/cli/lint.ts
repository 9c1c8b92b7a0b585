// `sluice lint`: what is wrong in a node's rules.
import { type Finding, inOrder } from '../lint/finding.ts'
import { lintRules } from '../lint/lint.ts'
import { endpointsOf } from '../lint/lint-balance.ts'
import { Failure } from './failure.ts'
import { countFindings, exitCodeFor, type FailOn, printFindings } from './print-findings.ts'
import { type RuleSource, type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import type { Streams } from './streams.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { writeOut } from './write-out.ts'

export interface LintOptions extends RuleSourceOptions {
  readonly failOn: FailOn
  readonly output: 'text' | 'json'
}

async function lintIpvsSource(source: RuleSource, terminal: Terminal): Promise<readonly Finding[]> {
  const { lintIpvsOf } = await import('./verify-ipvs.ts')
  return lintIpvsOf(source, terminal)
}

/** Returns the exit code. @throws Failure for rules that can't be read. */
export async function lint(options: LintOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  const source = await readRuleSource(options, streams, terminal)
  terminal.report(source.issues)
  if (source.families.size === 0)
    throw new Failure(`${source.label} has no rules of iptables: there is nothing to look at`)
  terminal.progress('looking at the rules')
  const { snapshot } = source
  const ofIpvs = source.mode === 'ipvs' ? await lintIpvsSource(source, terminal) : []
  const findings = inOrder([
    ...[...source.families].flatMap(([family, ruleset]) =>
      lintRules(ruleset, snapshot === undefined ? undefined : endpointsOf(snapshot, family)),
    ),
    ...ofIpvs,
  ])
  terminal.clear()
  const { stdout } = streams
  const document = { apiVersion: 'sluice/v1', kind: 'Findings', source: source.label, findings }
  await writeOut(
    options.output === 'json' ? `${JSON.stringify(document, undefined, 2)}\n` : printFindings(findings, stdout),
    stdout,
  )
  const known = snapshot === undefined ? ' (endpoints were not checked: give -f or --kubeconfig for the cluster)' : ''
  terminal.say(`${source.label}: ${countFindings(findings)}${known}`)
  return exitCodeFor(findings, options.failOn)
}
