// What --cleanup removes from a saved state, and what it leaves. test/kernel/clean-up.test.ts does it to a kernel.
import { describe, expect, test } from 'vitest'
import { describeCleanUp, planCleanUp, planNftablesCleanUp } from '../../src/sync/clean-up.ts'

const PORTALS = '-m comment --comment "kubernetes service portals"'
const NEW = '-m conntrack --ctstate NEW'

function filter(...rules: readonly string[]): string {
  return [
    '*filter',
    ':INPUT ACCEPT [3:180]',
    ':FORWARD ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ':KUBE-FIREWALL - [0:0]',
    ':KUBE-FORWARD - [0:0]',
    ':KUBE-KUBELET-CANARY - [0:0]',
    ':KUBE-SERVICES - [0:0]',
    ':MINE - [0:0]',
    ...rules,
    'COMMIT',
    '',
  ].join('\n')
}

function onlyTable(save: string) {
  const [table, ...more] = planCleanUp(save, 'ipv4')
  expect(more).toEqual([])
  if (table === undefined) throw new Error('nothing is planned')
  return table
}

describe('iptables', () => {
  test('jumps go one by one, chains are emptied and deleted', () => {
    const save = filter(
      '-A INPUT -j KUBE-FIREWALL',
      '-A INPUT -s 10.0.0.0/8 -j ACCEPT',
      `-A FORWARD ${NEW} ${PORTALS} -j KUBE-SERVICES`,
      '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
      '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    )
    expect(onlyTable(save)).toEqual({
      family: 'ipv4',
      table: 'filter',
      payload: [
        '*filter',
        ':KUBE-SERVICES - [0:0]',
        ':KUBE-FORWARD - [0:0]',
        `-D FORWARD ${NEW} ${PORTALS} -j KUBE-SERVICES`,
        '-D FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
        '-X KUBE-SERVICES',
        '-X KUBE-FORWARD',
        'COMMIT',
        '',
      ].join('\n'),
      jumps: [
        `-A FORWARD ${NEW} ${PORTALS} -j KUBE-SERVICES`,
        '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
      ],
      chains: ['KUBE-SERVICES', 'KUBE-FORWARD'],
      kept: [],
    })
  })

  test.each([
    [`-A OUTPUT ${NEW} ${PORTALS} -j KUBE-SERVICES`, 'as it is now'],
    [`-A OUTPUT ${PORTALS} ${NEW} -j KUBE-SERVICES`, 'matches in the other order'],
    [`-A OUTPUT ${PORTALS} -j KUBE-SERVICES`, 'as an older version wrote it, for all packets'],
    [`[7:420] -A OUTPUT ${NEW} ${PORTALS} -j KUBE-SERVICES`, 'with counters'],
  ])('the jump %s is recognised: %s', (line) => {
    const { jumps, kept, payload } = onlyTable(filter(line))
    const plain = line.replace(/^\[.*?\] /, '')
    expect(jumps).toEqual([plain])
    expect(payload).toContain(plain.replace('-A', '-D'))
    expect(kept).toEqual([])
  })

  test.each([
    ['-A OUTPUT -j KUBE-SERVICES', 'no comment'],
    [`-A OUTPUT -d 172.30.0.0/16 ${PORTALS} -j KUBE-SERVICES`, 'only some destinations'],
    ['-A OUTPUT -m comment --comment "my own" -j KUBE-SERVICES', 'another comment'],
    [`-A MINE ${NEW} ${PORTALS} -j KUBE-SERVICES`, "in a stranger's chain"],
    ['-A OUTPUT -m owner --uid-owner 0 -j KUBE-SERVICES', 'a match that is not known here'],
  ])('the rule %s is a stranger (%s): it stays, and so does the empty chain', (line) => {
    const plan = onlyTable(filter(line))
    expect(plan.kept).toEqual([{ chain: 'KUBE-SERVICES', usedBy: [line] }])
    expect(plan.payload).toContain(':KUBE-SERVICES - [0:0]\n')
    expect(plan.payload).not.toContain('-X KUBE-SERVICES')
    expect(plan.payload).not.toContain('-D ')
    expect(describeCleanUp([plan])).toContain(
      `ipv4 filter: KUBE-SERVICES is emptied and stays, because "${line}" uses it: remove that rule`,
    )
  })

  test('chains of Services go from nat, and the other fixed chains with them', () => {
    const chains = [
      'KUBE-MARK-MASQ',
      'KUBE-SEP-AAAAAAAAAAAAAAAA',
      'KUBE-EXT-A',
      'KUBE-FW-A',
      'KUBE-SVL-A',
      'KUBE-SVC-A',
    ]
    const kept = ['KUBE-IPTABLES-HINT', 'KUBE-KUBELET-CANARY', 'KUBE-MARK-DROP', 'KUBE-SVCX', 'CALI-A']
    const save = ['*nat', ...[...chains, ...kept].map((name) => `:${name} - [0:0]`), 'COMMIT', ''].join('\n')
    expect(onlyTable(save).chains).toEqual(chains)
  })

  test('the canary goes from mangle, and the hint of the kubelet does not', () => {
    const save = '*mangle\n:KUBE-IPTABLES-HINT - [0:0]\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n'
    expect(onlyTable(save).payload).toBe('*mangle\n:KUBE-PROXY-CANARY - [0:0]\n-X KUBE-PROXY-CANARY\nCOMMIT\n')
  })

  test('nothing is planned where nothing was left', () => {
    expect(planCleanUp('*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n', 'ipv6')).toEqual([])
    expect(planCleanUp('', 'ipv4')).toEqual([])
  })

  test('tables in which we never write are not looked at', () => {
    expect(planCleanUp('*raw\n:KUBE-SERVICES - [0:0]\nCOMMIT\n', 'ipv4')).toEqual([])
  })

  test('with many chains the table is read at once', () => {
    const names = Array.from({ length: 200 }, (_, index) => `:KUBE-SVC-${index} - [0:0]`)
    expect(onlyTable(`*nat\n${names.join('\n')}\nCOMMIT\n`).payload).toMatch(/^\*nat\n-S\n:KUBE-SVC-0 /)
  })

  test('what was done can be read', () => {
    const plan = planCleanUp(filter(`-A OUTPUT ${NEW} ${PORTALS} -j KUBE-SERVICES`), 'ipv6')
    expect(describeCleanUp(plan)).toEqual(['ipv6 filter: 2 chains and 1 jump removed'])
  })
})

describe('nftables', () => {
  test('the tables of kube-proxy go, and no other', () => {
    const listing =
      'table ip kube-proxy\ntable ip nat\ntable ip6 kube-proxy\ntable inet kube-proxy\ntable ip kube-proxy-x\n'
    expect(planNftablesCleanUp(listing)).toEqual([
      ['nft', 'delete', 'table', 'ip', 'kube-proxy'],
      ['nft', 'delete', 'table', 'ip6', 'kube-proxy'],
    ])
    expect(planNftablesCleanUp('')).toEqual([])
  })
})
