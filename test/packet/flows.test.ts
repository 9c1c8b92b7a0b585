import { expect, test } from 'vitest'
import type { Ip } from '../../src/model/address.ts'
import { compareFlow, parseFlows } from '../../src/packet/flows.ts'
import { type Share, shareOfThreshold, WHOLE } from '../../src/packet/share.ts'
import type { LikelyOutcome } from '../../src/packet/trace.ts'

const expectedOf = (outcome: string) => {
  const [flow] = parseFlows(`10.0.0.9 tcp 10.96.0.1:80 ${outcome}`, 'iptables').flows
  if (flow === undefined) throw new Error('no flow')
  return flow.expected
}

function dnat(destination: string, share: Share, masqueraded = false): LikelyOutcome {
  const delivery = { destination: destination as Ip, destinationPort: 8080, to: 'elsewhere', masqueraded } as const
  return { share, outcome: { kind: 'dnat', ...delivery, sourceSeen: '10.0.0.9' as Ip } }
}

const HALF = shareOfThreshold(2 ** 30)

test('lines are read, with comments and blank lines', () => {
  const { flows, issues } = parseFlows(
    '# from proto to outcome\n\n10.0.0.9 udp 10.96.0.1:53 drop # why\nfd00::9 tcp [fd00::1]:80 no match\n',
    'ipvs',
  )
  expect(issues).toEqual([])
  expect(flows.map(({ line, packet, expected }) => [line, packet.family, expected.kind])).toEqual([
    [3, 'ipv4', 'drop'],
    [4, 'ipv6', 'no match'],
  ])
})

test.each([
  ['10.0.0.9 tcp 10.96.0.1:80', 'FROM PROTOCOL TO OUTCOME'],
  ['10.0.0.9 tcp 10.96.0.1:80 vanish', '"vanish" is no outcome'],
  ['10.0.0.9 tcp 10.96.0.1:80 dnat 10.0.0.1', 'is no outcome'],
  ['10.0.0.9 tcp 10.96.0.1 drop', 'has no port'],
])('%s is an issue', (line, problem) => {
  const { issues } = parseFlows(line, 'iptables')
  expect(issues.map(({ message }) => message)).toEqual([expect.stringContaining(problem)])
})

test('endpoints, shares and masquerading must all be as written', () => {
  const two = [dnat('10.0.0.1', HALF), dnat('10.0.0.2', HALF, true)]
  expect(compareFlow(expectedOf('dnat 10.0.0.1:8080 50%, 10.0.0.2:8080 50% masquerade'), two)).toBeUndefined()
  for (const wrong of [
    'dnat 10.0.0.1:8080 50%, 10.0.0.2:8080 50%',
    'dnat 10.0.0.1:8080 33%, 10.0.0.2:8080 67% masquerade',
    'dnat 10.0.0.1:8080 50%',
    'dnat 10.0.0.1:8081 50%, 10.0.0.2:8080 50% masquerade',
    'dnat 10.0.0.1:8080 50%, 10.0.0.2:8080 50% masquerade, 10.0.0.3:8080 0%',
    'drop',
  ]) {
    expect(compareFlow(expectedOf(wrong), two)).toMatch(/^expected .*, found /)
  }
})

test('a single endpoint has everything', () => {
  expect(compareFlow(expectedOf('dnat 10.0.0.1:8080'), [dnat('10.0.0.1', WHOLE)])).toBeUndefined()
  expect(compareFlow(expectedOf('dnat 10.0.0.1:8080'), [dnat('10.0.0.1', HALF), dnat('10.0.0.2', HALF)])).toBeDefined()
})

test('a line that begins with a mode holds in that mode, in place of the line above it', () => {
  const text = '10.0.0.9 tcp 10.96.0.1:80 drop\nipvs:                   reject  # why\n10.0.0.9 tcp 10.96.0.2:80 drop\n'
  const kinds = (mode: 'iptables' | 'ipvs') => parseFlows(text, mode).flows.map(({ expected }) => expected.kind)
  expect(kinds('iptables')).toEqual(['drop', 'drop'])
  expect(kinds('ipvs')).toEqual(['reject', 'drop'])
  expect(parseFlows('ipvs: drop\n', 'iptables').issues).toMatchObject([
    { at: { line: 1 }, message: 'ipvs: stands below a packet: write the packet first' },
  ])
  expect(parseFlows(`${text}ipvs: vanish\n`, 'iptables').issues).toMatchObject([{ at: { line: 4 } }])
})
