// Which rules a packet matches, in three values, and what chance and the unknown make of it.
import { describe, expect, test } from 'vitest'
import { endsOf, OUTSIDE, POD, traceOf, UNTOUCHED } from '../support/traced-rules.ts'

describe('matches', () => {
  test.each([
    ['-s 198.51.100.0/24', true],
    ['! -s 198.51.100.0/24', false],
    ['-i eth0', true],
    ['-i cni+', false],
    ['! -i eth+', false],
    ['-o eth0', true],
    ['-p udp', false],
    ['-p tcp -m tcp --sport 40000 --dport 79:81', true],
    ['-p tcp -m tcp ! --dport 80', false],
    ['-p tcp -m multiport --dports 443,79:81', true],
    ['-p tcp -m multiport ! --dports 443', true],
    ['-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN', true],
    ['-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN', false],
    ['-m conntrack --ctstate NEW', true],
    ['-m conntrack ! --ctstate NEW', false],
    ['-m conntrack --ctstate RELATED,ESTABLISHED', false],
    ['-m state --state NEW', true],
    ['-m mark --mark 0x0/0x4000', true],
    ['-m mark --mark 0x4000/0x4000', false],
    ['-m addrtype --dst-type LOCAL', false],
    ['-m addrtype ! --dst-type LOCAL', true],
    ['-m set --match-set clients src', true],
    ['-m set ! --match-set clients src', false],
    ['-m set --match-set services dst,dst', true],
    ['-m recent --rcheck --seconds 10 --name X --mask 255.255.255.255 --rsource', false],
    ['-m recent --set --name X --mask 255.255.255.255 --rsource', true],
  ])('%s: %s', (match, matches) => {
    const sets =
      'create clients hash:net family inet\nadd clients 198.51.100.0/24\ncreate services hash:ip,port family inet\nadd services 10.96.1.10,tcp:80\n'
    const trace = traceOf({ filter: `-A FORWARD ${match} -j DROP` }, OUTSIDE, sets)
    expect(endsOf(trace)).toEqual([matches ? 'drop in filter FORWARD' : UNTOUCHED])
  })

  test('a random choice has exact shares, and what is left goes on', () => {
    const tables = {
      nat: `-A PREROUTING -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.1:1
            -A PREROUTING -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.2:2
            -A PREROUTING -s 10.0.0.0/8 -j DNAT --to-destination 10.0.0.3:3`,
    }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual([
      'dnat 10.0.0.1:1 from 198.51.100.2 to elsewhere 715827883/2147483648',
      'dnat 10.0.0.2:2 from 198.51.100.2 to elsewhere 1431655765/4294967296',
      `${UNTOUCHED} 1431655765/4294967296`,
    ])
  })

  test('what nobody can know is followed both ways', () => {
    const tables = { filter: '-A FORWARD -m physdev --physdev-is-bridged -j ACCEPT\n-A FORWARD -j DROP' }
    expect(endsOf(traceOf(tables, OUTSIDE))).toEqual([
      `${UNTOUCHED} [if -m physdev --physdev-is-bridged]`,
      'drop in filter FORWARD [unless -m physdev --physdev-is-bridged]',
    ])
  })

  test('a set that was not given is not known, and one that was is', () => {
    const tables = { filter: '-A FORWARD -m set --match-set cali40s:abc src -j DROP' }
    expect(endsOf(traceOf(tables, OUTSIDE))).toHaveLength(2)
    expect(endsOf(traceOf(tables, OUTSIDE, 'create cali40s:abc hash:net\n'))).toEqual([UNTOUCHED])
  })

  test('a target that decides by itself is shown as such', () => {
    const ends = endsOf(traceOf({ filter: '-A FORWARD -j NFQUEUE --queue-num 3' }, OUTSIDE))
    expect(ends).toEqual([
      'taken in filter FORWARD [kept by -j NFQUEUE --queue-num 3]',
      `${UNTOUCHED} [let on by -j NFQUEUE --queue-num 3]`,
    ])
  })

  test('logging changes nothing', () => {
    expect(endsOf(traceOf({ filter: '-A FORWARD -j LOG --log-prefix "x "' }, OUTSIDE))).toEqual([UNTOUCHED])
  })

  test('very many unknown matches come to an end, with a note', () => {
    const lines = Array.from(
      { length: 40 },
      (_, index) => `-A FORWARD -m u32 --u32 ${index} -j MARK --set-xmark 0x${index}/0xff`,
    )
    const trace = traceOf({ filter: lines.join('\n') }, OUTSIDE)
    expect(trace.notes.join()).toContain('too many rules could not be decided')
  })

  test('an affinity list asks who came before, and says so', () => {
    const tables = {
      nat: `:KUBE-SEP-A -
        -A PREROUTING -m recent --rcheck --seconds 600 --reap --name KUBE-SEP-A --mask 255.255.255.255 --rsource -j KUBE-SEP-A`,
    }
    expect(traceOf(tables, POD).notes.join()).toContain('within the last 600 s')
  })
})
