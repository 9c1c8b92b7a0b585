// The simulator on rules written for it, foreign ones among them. test/kernel/simulate.test.ts has the kernel's own word.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { indexChain } from '../../src/iptables/simulate-index.ts'
import { addShares, isWhole, NOTHING } from '../../src/packet/share.ts'
import type { Trace } from '../../src/packet/trace.ts'
import { endsOf, OUTSIDE, traceOf, UNTOUCHED } from '../support/traced-rules.ts'

describe('hooks and tables', () => {
  const everywhere = (chains: readonly string[]) =>
    chains.map((chain) => `-A ${chain} -m comment --comment ${chain} -j MARK --set-xmark 0x1/0x1`).join('\n')
  const all = {
    filter: everywhere(['INPUT', 'FORWARD', 'OUTPUT']),
    mangle: everywhere(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']),
    nat: everywhere(['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']),
    raw: everywhere(['PREROUTING', 'OUTPUT']),
  }
  test.each([
    [
      'forwarded',
      OUTSIDE,
      'raw PREROUTING, mangle PREROUTING, nat PREROUTING, mangle FORWARD, filter FORWARD, mangle POSTROUTING, nat POSTROUTING',
    ],
    [
      'for the node',
      'tcp 198.51.100.2 -> 192.168.1.63:80',
      'raw PREROUTING, mangle PREROUTING, nat PREROUTING, mangle INPUT, filter INPUT, nat INPUT',
    ],
    [
      'from the node',
      'tcp 192.168.1.63 -> 10.96.1.10:80',
      'raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, mangle POSTROUTING, nat POSTROUTING',
    ],
    [
      'from the node to itself, which takes it in without nat',
      'tcp 192.168.1.63 -> 192.168.1.63:80',
      'raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, mangle POSTROUTING, nat POSTROUTING, raw PREROUTING, mangle PREROUTING, mangle INPUT, filter INPUT',
    ],
  ])('a packet %s passes them in the kernel’s order', (_, text, expected) => {
    const { way } = traceOf(all, text)
    expect(way.steps.map(({ table, hook }) => `${table} ${hook}`).join(', ')).toBe(expected)
  })

  test('a translated destination decides the route, and a later table sees it', () => {
    const tables = {
      nat: '-A PREROUTING -d 10.96.1.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.168.1.63:8080',
      filter: '-A INPUT -d 192.168.1.63/32 -p tcp -m tcp --dport 8080 -m conntrack --ctstate DNAT -j DROP',
    }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual(['drop in filter INPUT'])
  })

  test('a masqueraded packet has the address of the interface by which it leaves', () => {
    const tables = {
      nat: `-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.5:8080
            -A PREROUTING -p tcp -m tcp --dport 81 -j DNAT --to-destination 10.244.2.5:8080
            -A POSTROUTING -j MASQUERADE`,
    }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual(['dnat 10.244.1.5:8080 from 10.244.1.1 to elsewhere'])
    const other = 'tcp 198.51.100.2 -> 10.96.1.10:81'
    expect(endsOf(traceOf(tables, other))).toEqual(['dnat 10.244.2.5:8080 from 192.168.1.63 to elsewhere'])
  })

  test('what is not tracked passes no nat', () => {
    const tables = { raw: '-A PREROUTING -j CT --notrack', nat: '-A PREROUTING -j DNAT --to-destination 10.0.0.1' }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual([UNTOUCHED])
  })

  test('a policy decides when no rule does', () => {
    expect(endsOf(traceOf({ filter: ':FORWARD DROP\n-A FORWARD -s 10.0.0.0/8 -j ACCEPT' }, OUTSIDE))).toEqual([
      'drop in filter FORWARD',
    ])
  })

  test('loopback is out of reach for others, unless kube-proxy guards route_localnet', () => {
    const text = 'tcp 198.51.100.2 -> 127.0.0.1:80'
    expect(endsOf(traceOf({ filter: '' }, text))).toEqual(['drop in route PREROUTING'])
    const guard =
      ':KUBE-FIREWALL -\n-A INPUT -j KUBE-FIREWALL\n-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP'
    expect(endsOf(traceOf({ filter: guard }, text))).toEqual(['drop in filter KUBE-FIREWALL'])
  })
})

describe('chains', () => {
  test('a return goes on behind the jump, and behind the jump before a goto', () => {
    const tables = {
      filter: `:A -
        :B -
        :C -
        -A FORWARD -j A
        -A FORWARD -m comment --comment last -j REJECT --reject-with icmp-port-unreachable
        -A A -g B
        -A A -j DROP
        -A B -j C
        -A B -j RETURN
        -A B -j DROP
        -A C -s 10.0.0.0/8 -j DROP`,
    }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual(['reject in filter FORWARD'])
  })

  test('a goto from a base chain ends in its policy', () => {
    const tables = { filter: ':FORWARD DROP\n:A -\n-A FORWARD -g A\n-A FORWARD -j ACCEPT' }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual(['drop in filter FORWARD'])
  })

  test('accepting ends the table and not the hook', () => {
    const tables = { mangle: '-A FORWARD -j ACCEPT\n-A FORWARD -j DROP', filter: '-A FORWARD -j DROP' }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual(['drop in filter FORWARD'])
  })

  test('chains that nothing came of are not shown', () => {
    const tables = {
      filter: ':A -\n:B -\n-A FORWARD -j A\n-A FORWARD -j B\n-A A -s 10.0.0.0/8 -j DROP\n-A B -j ACCEPT',
    }
    expect(traceOf(tables, OUTSIDE).way.steps.map(({ action }) => action)).toEqual(['-> B', 'ACCEPT'])
  })
})

describe('long chains', () => {
  test('walking the candidates of an index is walking the chain', () => {
    const destination = fc.constantFrom(
      '',
      '-d 10.96.1.1/32',
      '-d 10.96.1.2/32',
      '! -d 10.96.1.1/32',
      '-d 10.96.0.0/16',
    )
    const match = fc.constantFrom(
      '',
      '-p tcp',
      '-p tcp -m tcp --dport 80',
      '-p udp -m udp --dport 53',
      '-p tcp -m tcp ! --dport 80',
      '-p tcp -m tcp --dport 80:90',
    )
    const target = fc.constantFrom('-j MARK --set-xmark 0x1/0x1', '-j MARK --set-xmark 0x2/0x2', '-j ACCEPT', '')
    const rule = fc
      .tuple(destination, match, target)
      .map((parts) => ['-A FORWARD', ...parts.filter((part) => part !== '')].join(' '))
    const packet = fc.constantFrom(
      'tcp 10.0.0.9 -> 10.96.1.1:80',
      'tcp 10.0.0.9 -> 10.96.1.3:85',
      'udp 10.0.0.9 -> 10.96.1.2:53',
      'icmp 10.0.0.9 -> 10.96.1.1',
    )
    fc.assert(
      fc.property(fc.array(rule, { minLength: 12, maxLength: 40 }), packet, (lines, text) => {
        const whole = traceOf({ filter: lines.join('\n') }, text)
        // Chains this short have no index.
        const parts = Array.from({ length: Math.ceil(lines.length / 8) }, (_, part) =>
          lines.slice(part * 8, part * 8 + 8),
        )
        const chains = parts.map((_, part) => `:P${part} -`).join('\n')
        const rules = parts.flatMap((part, number) => part.map((line) => line.replace('FORWARD', `P${number}`)))
        const jumps = parts.map((_, part) => `-A FORWARD -j P${part}`)
        const split = traceOf({ filter: [chains, ...jumps, ...rules].join('\n') }, text)
        const actions = (trace: Trace) =>
          trace.way.steps.map(({ action }) => action).filter((action) => !action.startsWith('->'))
        expect(actions(whole)).toEqual(actions(split))
      }),
    )
  })

  test('short chains need no index', () => {
    expect(indexChain({ rules: [] })).toBeUndefined()
  })
})

test('shares of all ends come to everything', () => {
  const lines = Array.from({ length: 9 }, (_, index) => {
    const left = 10 - index
    return `-A PREROUTING -m statistic --mode random --probability ${(Math.round(2 ** 31 / left) / 2 ** 31).toFixed(11)} -j DNAT --to-destination 10.0.0.${index}:80`
  })
  const { outcomes } = traceOf({ nat: lines.join('\n') }, OUTSIDE)
  expect(outcomes).toHaveLength(10)
  expect(isWhole(outcomes.reduce((sum, { share }) => addShares(sum, share), NOTHING))).toBe(true)
})

test('a question whose answer changes nothing is not asked', () => {
  const filter = '-A FORWARD -m physdev --physdev-is-in -j ACCEPT'
  expect(endsOf(traceOf({ filter }, OUTSIDE))).toEqual([UNTOUCHED])
  const drops = '-A FORWARD -m physdev --physdev-is-in -j DROP'
  expect(endsOf(traceOf({ filter: drops }, OUTSIDE))).toHaveLength(2)
})
