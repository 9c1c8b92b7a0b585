// `sluice verify` and `sluice diff` on a real kernel, in a network namespace of its own.
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { createNetworkNamespace, type NetworkNamespace } from '../support/network-namespace.ts'

const CASE = path.join(GOLDEN_ROOT, 'recorded', 'config-variants-default')
const INPUT = ['--config', path.join(CASE, 'iptables', 'config.yaml'), '--host', path.join(CASE, 'host.json')]
// This kernel may have no nfacct.
const MORE = ['--features', 'nfacct=false', '--family', 'ipv4']
const CLUSTER = path.join(CASE, 'cluster.yaml')
const MAIN = path.join(import.meta.dirname, '..', '..', 'src', 'main.ts')

let kernel: NetworkNamespace
beforeEach(async () => {
  kernel = await createNetworkNamespace()
  sh('ip link set lo up')
  const { stdout } = sluice('render', '-f', CLUSTER, ...INPUT, ...MORE, '-o', 'restore')
  const { status, stderr } = kernel.run(['iptables-nft-restore', '--noflush', '--counters'], stdout)
  if (status !== 0) throw new Error(stderr)
})
afterEach(() => kernel.close())

function sh(script: string): void {
  const { status, stderr } = kernel.run(['sh', '-c', script])
  if (status !== 0) throw new Error(`${script}: ${stderr}`)
}
const sluice = (...args: readonly string[]) => kernel.run([process.execPath, MAIN, ...args])

interface Found {
  readonly kind: string
  readonly service?: string
  readonly message: string
}

/** Findings but those of kernel settings, which differ from machine to machine. */
function verify(): readonly Found[] {
  const { stdout, stderr } = sluice('verify', '--live', '-f', CLUSTER, ...INPUT, ...MORE, '-o', 'json')
  if (stdout === '') throw new Error(stderr)
  const { findings } = JSON.parse(stdout) as { findings: readonly Found[] }
  return findings.filter(({ kind }) => kind !== 'sysctl')
}

test('a kernel that does what the cluster asks for has no finding, and no difference', () => {
  expect(verify()).toEqual([])
  expect(sluice('diff', CLUSTER, 'live', ...INPUT, ...MORE)).toMatchObject({ status: 0, stdout: '' })
})

test('rules that are gone, a rule of somebody else and a stale UDP flow are found', () => {
  sh('iptables-nft -t nat -F KUBE-NODEPORTS')
  sh('iptables-nft -t nat -I PREROUTING -p tcp --dport 80 -j ACCEPT')
  sh(
    'conntrack -I -p udp -s 10.0.0.1 -d 10.96.14.5 --sport 900 --dport 53 -r 10.244.9.9 -q 10.0.0.1 --reply-port-src 53 --reply-port-dst 900 -t 600',
  )
  const findings = verify()
  const missing = findings.filter(({ kind }) => kind === 'missing-rules')
  expect(missing.map(({ service }) => service)).toEqual(['default/lb', 'default/lblocal', 'default/np'])
  expect(findings.map(({ kind }) => kind)).toContain('foreign-rule-before')
  expect(findings.find(({ kind }) => kind === 'stale-flow')?.message).toContain('still goes to 10.244.9.9:53')
})

test('explain looks at the kernel too: rules of a Service that are missing there', () => {
  const explain = () => {
    const { stdout, stderr } = sluice('explain', 'default/np', '--live', '-f', CLUSTER, ...INPUT, ...MORE, '-o', 'json')
    if (stdout === '') throw new Error(stderr)
    const { services } = JSON.parse(stdout) as { services: readonly { findings: readonly { check: string }[] }[] }
    return services.flatMap(({ findings }) => findings.map(({ check }) => check))
  }
  expect(explain().filter((check) => check.startsWith('rules-'))).toEqual([])
  sh('iptables-nft -t nat -F KUBE-NODEPORTS')
  expect(explain()).toContain('rules-differ')
})
