// Runs in the second kernel: fills it as sluice would in IPVS mode, lets verify and explain look at it with --live, then
// damages it and lets them look again. Prints a JSON document; explain.test.ts judges it.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { sluice } from '../cli/command.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'

export interface LookedAt {
  readonly code: number
  readonly stderr: string
  readonly findings: readonly { readonly kind?: string; readonly check?: string; readonly severity: string }[]
}

export interface ExplainInside {
  readonly sound: { readonly verify: LookedAt; readonly explain: LookedAt; readonly diff: string }
  readonly damaged: { readonly verify: LookedAt; readonly explain: LookedAt }
}

const CASE = path.join(GOLDEN_ROOT, 'own', 'story-scale')
const INPUT = [
  '--config',
  path.join(CASE, 'ipvs', 'config.yaml'),
  '--host',
  path.join(CASE, 'host.json'),
  '--family',
  'ipv4',
]
const CLUSTER = ['-f', path.join(CASE, 'cluster.2.yaml')]

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-'))
const rendered = await sluice(['render', ...CLUSTER, ...INPUT, '-o', 'restore', '--out', folder])
if (rendered.code !== 0) throw new Error(rendered.stderr)
const load = (file: string, ...argv: readonly [string, ...string[]]) =>
  execFileSync(argv[0], argv.slice(1), { input: readFileSync(path.join(folder, file)) })
load('ipset-restore', 'ipset', 'restore')
load('iptables-restore', 'iptables-legacy-restore', '--noflush', '--counters')
load('kube-ipvs0-addresses-restore', 'ip', '-force', '-batch', '-')
load('ipvsadm-restore', 'ipvsadm', '-R')

const sound = {
  verify: await verify(),
  explain: await explain(),
  diff: (await sluice(['diff', path.join(CASE, 'cluster.2.yaml'), 'live', ...INPUT])).stdout,
}
run('ipvsadm', '-d', '-t', '10.96.1.10:80', '-r', '10.244.2.5:8080')
run('ipset', 'del', 'KUBE-CLUSTER-IP', '10.96.1.10,tcp:80')
run('ip', 'address', 'del', '10.96.1.10/32', 'dev', 'kube-ipvs0')
// Somebody else's.
run('ipvsadm', '-A', '-t', '203.0.113.9:80', '-s', 'rr')
const document: ExplainInside = { sound, damaged: { verify: await verify(), explain: await explain() } }
console.log(JSON.stringify(document))

function run(...argv: readonly [string, ...string[]]): void {
  execFileSync(argv[0], argv.slice(1))
}

/** Without kernel settings, which this kernel has others of. */
async function verify(): Promise<LookedAt> {
  const { code, stdout, stderr } = await sluice(['verify', ...CLUSTER, ...INPUT, '-o', 'json'])
  if (stdout === '') throw new Error(stderr)
  const { findings } = JSON.parse(stdout) as { findings: LookedAt['findings'] }
  return { code, stderr, findings: findings.filter(({ kind }) => kind !== 'sysctl') }
}

async function explain(): Promise<LookedAt> {
  const { code, stdout, stderr } = await sluice(['explain', 'shop/web', '--live', ...CLUSTER, ...INPUT, '-o', 'json'])
  if (stdout === '') throw new Error(stderr)
  const { services } = JSON.parse(stdout) as { services: readonly { findings: LookedAt['findings'] }[] }
  return { code, stderr, findings: services.flatMap(({ findings }) => findings) }
}
