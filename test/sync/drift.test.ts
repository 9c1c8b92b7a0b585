import { describe, expect, test } from 'vitest'
import { CommandError } from '../../src/host/exec.ts'
import { compile, defaultProxyConfig } from '../../src/index.ts'
import { probeKernel, READ_BACK_SHARE, readProbe, stretchInterval } from '../../src/sync/drift.ts'
import { readRestoreFailure } from '../../src/sync/restore-failure.ts'
import { plainNode, snapshotOf } from '../support/many-services.ts'

// What iptables-nft-restore 1.8.9 prints for the probe.
const ANSWER = `-N KUBE-PROXY-CANARY
-N KUBE-PROXY-CANARY
-P INPUT ACCEPT
-A INPUT -j KUBE-FIREWALL
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-P FORWARD ACCEPT
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-P OUTPUT ACCEPT
-A OUTPUT -j KUBE-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-N KUBE-PROXY-CANARY
-P PREROUTING ACCEPT
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-P OUTPUT ACCEPT
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-P POSTROUTING ACCEPT
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-N KUBE-POSTROUTING
-N KUBE-MARK-MASQ
`
const PROGRAM = compile(snapshotOf([]), defaultProxyConfig(), plainNode(), 'ipv4')
const ARGV = ['iptables-nft-restore'] as const

function handsThatFail(exitCode: number, stderr: string) {
  return { run: () => Promise.reject(new CommandError(ARGV, { kind: 'exit', exitCode }, stderr)) }
}

describe('the probe', () => {
  test('finds nothing where all jumps are there, whatever foreign rules stand between them', () => {
    expect(readProbe(ANSWER, PROGRAM)).toEqual([])
    expect(readProbe(ANSWER.replaceAll(/^(-P .*)$/gm, '$1\n-A INPUT -j ACCEPT'), PROGRAM)).toEqual([])
  })

  test('tells the table of a missing jump, though two tables have a chain of that name', () => {
    const nat = ANSWER.replace('-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n', '')
    expect(readProbe(nat, PROGRAM)).toEqual([{ kind: 'missing jump', table: 'nat', chain: 'OUTPUT' }])
    const filter = ANSWER.replace('-A OUTPUT -j KUBE-FIREWALL\n', '')
    expect(readProbe(filter, PROGRAM)).toEqual([{ kind: 'missing jump', table: 'filter', chain: 'OUTPUT' }])
  })

  test('takes a chain that the tool does not find for missing, in the words of both variants', async () => {
    const nft =
      "iptables-nft-restore v1.8.9 (nf_tables): chain `KUBE-PROXY-CANARY' in table `mangle' is incompatible, use 'nft' tool.\n"
    const finding = { kind: 'missing chain', table: 'mangle', chain: 'KUBE-PROXY-CANARY' }
    expect(await probeKernel(handsThatFail(1, nft), 'nft', PROGRAM)).toEqual([finding])
    const legacy = 'iptables-restore: line 2 failed\n'
    expect(await probeKernel(handsThatFail(1, legacy), 'legacy', PROGRAM)).toEqual([finding])
  })

  test('does not take another failure for a finding', async () => {
    const locked = 'Another app is currently holding the xtables lock. Stopped waiting after 5s.\n'
    await expect(probeKernel(handsThatFail(4, locked), 'legacy', PROGRAM)).rejects.toThrow('xtables lock')
    await expect(probeKernel(handsThatFail(4, 'Permission denied\n'), 'nft', PROGRAM)).rejects.toThrow('Permission')
  })
})

test('reading back costs one hundredth of a core at most', () => {
  expect(stretchInterval(300_000, 500, READ_BACK_SHARE)).toBe(300_000)
  expect(stretchInterval(300_000, 4_000, READ_BACK_SHARE)).toBe(400_000)
})

describe('what a failed restore says', () => {
  const failureOf = (exitCode: number, stderr: string) =>
    readRestoreFailure(new CommandError(ARGV, { kind: 'exit', exitCode }, stderr))

  // Messages of iptables 1.8.9.
  test.each([
    [
      2,
      "iptables-nft-restore v1.8.9 (nf_tables): Chain 'X' does not exist\nError occurred at line: 4\nTry `-h'\n",
      [4],
    ],
    [
      4,
      'iptables-nft-restore v1.8.9 (nf_tables): \nline 5: RULE_APPEND failed (Invalid argument): rule in chain A\n',
      [5],
    ],
    [
      4,
      'iptables: \nline 14: RULE_INSERT failed (No such file or directory): rule in chain A\nline 15: RULE_APPEND failed (x): y\n',
      [14, 15],
    ],
    [1, 'iptables-nft-restore: line 4 failed: Bad rule (does a matching rule exist in that chain?).\n', [4]],
    [1, 'iptables-restore: line 7 failed\n', [7]],
    [1, 'something else\n', []],
  ])('exit code %i with %j', (exitCode, stderr, lines) => {
    expect(failureOf(exitCode, stderr)).toEqual({ kind: 'refused', lines })
  })

  test('a held lock is told from a refusal with the same exit code', () => {
    expect(failureOf(4, 'Another app is currently holding the xtables lock. Stopped waiting after 5s.\n').kind).toBe(
      'locked',
    )
  })

  test('of a tool that did not end by itself nothing is known', () => {
    expect(readRestoreFailure(new CommandError(ARGV, { kind: 'timeout', milliseconds: 5 }, ''))).toEqual({
      kind: 'timeout',
    })
    expect(readRestoreFailure(new CommandError(ARGV, { kind: 'signal', signal: 'SIGKILL' }, '')).kind).toBe('other')
    expect(readRestoreFailure(new Error('gone')).kind).toBe('other')
  })
})
