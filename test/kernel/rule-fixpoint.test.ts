// Rules of every kind and with hostile comments go through the real iptables-restore and iptables-save, in a private
// network namespace: what comes back must be what was printed. Without the tools or namespaces the test is skipped, but
// not in CI, where CI=true.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { printRuleLine } from '../../src/iptables/print-rule.ts'
import type { Match, Rule } from '../../src/iptables/rule.ts'
import type { Family } from '../../src/model/address.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { arbitraryRule } from '../support/arbitrary-rule.ts'

const VARIANTS = ['nft', 'legacy'] as const
type Variant = (typeof VARIANTS)[number]

// Without root iptables-legacy cannot open the lock in /run.
const LOCK = path.join(tmpdir(), `sluice-xtables-${process.pid}.lock`)
afterAll(() => rmSync(LOCK, { force: true }))

describe.for(VARIANTS)('iptables-%s', (variant) => {
  test.for(FAMILIES)('saves rules of %s as they are printed', (family, { skip }) => {
    const missing = whatIsMissing(variant, family)
    if (missing !== undefined) {
      if (process.env['CI'] === 'true') throw new Error(`this test must run in CI, and ${missing}`)
      process.stderr.write(`SKIPPED: rule-fixpoint for iptables-${variant}, ${family}: ${missing}\n`)
      skip(missing)
    }
    const rules = rulesThatLoad(family)
    for (const table of ['filter', 'nat', 'mangle'] as const) {
      const lines = rules
        .filter((rule) => tableOf(rule) === table)
        .map((rule) => printRuleLine('-A KUBE-TEST', rule, family))
      expect(lines.length).toBeGreaterThan(20)
      expect(saveAfterRestore(variant, family, table, lines)).toEqual(lines)
    }
  })
})

/** Every rule the kernel here can hold: nfacct, set and unknown words need objects or modules. */
function rulesThatLoad(family: Family): readonly Rule[] {
  return fc
    .sample(arbitraryRule(family, ['KUBE-A']), { numRuns: 1000, seed: 1 })
    .filter((rule) => rule.target?.kind !== 'unknown')
    .map((rule) => withProtocol(rule, rule.matches.filter(loads)))
}

/** Ports, DNAT to a port and a TCP reset need the protocol in the header. */
function withProtocol(rule: Rule, loadable: readonly Match[]): Rule {
  const protocol =
    rule.target?.kind === 'dnat' || rule.target?.kind === 'reject'
      ? 'tcp'
      : loadable.find((match) => match.kind === 'ports')?.protocol
  if (protocol === undefined) return { ...rule, matches: loadable }
  const ports = loadable.find((match) => match.kind === 'ports' && match.protocol === protocol)
  const matches = loadable.filter((match) => match === ports || match.kind !== 'ports')
  return { ...rule, protocol: { value: protocol }, matches }
}

function tableOf({ target }: Rule): 'filter' | 'nat' | 'mangle' {
  if (target?.kind === 'masquerade' || target?.kind === 'dnat') return 'nat'
  return target?.kind === 'mark' ? 'mangle' : 'filter'
}

function loads(match: Match): boolean {
  if (match.kind === 'unknown' || match.kind === 'nfacct' || match.kind === 'set') return false
  // Few kernels have them; the round trip of IPVS mode in the second kernel holds both.
  if (match.kind === 'ipvs' || match.kind === 'physdev') return false
  // The name becomes a file in /proc.
  if (match.kind === 'recent') return !match.name.startsWith('.')
  if (match.kind === 'comment') return Buffer.byteLength(match.text) <= 255 && !startsLikeTableOption(match.text)
  return true
}

/** iptables-restore refuses a bare word that could be `-t`, even one that iptables-save printed. */
function startsLikeTableOption(text: string): boolean {
  return text.startsWith('-')
}

function tool(variant: Variant, family: Family, action: 'save' | 'restore'): string {
  return `${family === 'ipv4' ? 'iptables' : 'ip6tables'}-${variant}-${action}`
}

function inNamespace(
  script: string,
  input: string,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const namespace = process.getuid?.() === 0 ? ['-n'] : ['-rn']
  const result = spawnSync('unshare', [...namespace, 'sh', '-c', script], {
    input,
    encoding: 'utf8',
    timeout: 200_000,
    env: { ...process.env, XTABLES_LOCKFILE: LOCK },
  })
  return { status: result.status, stdout: result.stdout, stderr: result.stderr }
}

function whatIsMissing(variant: Variant, family: Family): string | undefined {
  const probe = `${tool(variant, family, 'restore')} --noflush && ${tool(variant, family, 'save')} -t filter`
  const { status, stderr } = inNamespace(probe, '*filter\nCOMMIT\n')
  return status === 0 ? undefined : `${probe} in unshare failed: ${stderr.trim() || 'unshare does not run'}`
}

function saveAfterRestore(
  variant: Variant,
  family: Family,
  table: string,
  lines: readonly string[],
): readonly string[] {
  const payload = `*${table}\n:KUBE-TEST - [0:0]\n:KUBE-A - [0:0]\n${lines.join('\n')}\nCOMMIT\n`
  const script = `${tool(variant, family, 'restore')} --noflush && ${tool(variant, family, 'save')} -t ${table}`
  const { status, stdout, stderr } = inNamespace(script, payload)
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return stdout.split('\n').filter((line) => line.startsWith('-A KUBE-TEST'))
}
