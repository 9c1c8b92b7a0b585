// Generates rules: every kind of match and target, and texts that try to break out of their place in a line.
import * as fc from 'fast-check'
import type { Match, Negatable, PortRange, Rule, Target } from '../../src/iptables/rule.ts'
import type { Family, Ip } from '../../src/model/address.ts'
import { hostCidr, parseCidr } from '../../src/model/address.ts'

/** Any text that decoding lets in: no control characters. */
export const commentText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    '"',
    "'",
    '\\',
    '\\"',
    '-j DROP',
    'COMMIT',
    '!',
    '-s',
    'a"b',
    "it's",
    'ns1/svc1:p80 cluster IP',
    'é — ü',
    '#x',
    ' ',
    'a  b ',
  ),
  fc.string({ maxLength: 40, unit: 'grapheme' }).filter((text) => !/\p{Cc}/u.test(text)),
)

/** A rule with the header, matches and target that iptables-save could print; jumps go to `chains`. */
export function arbitraryRule(family: Family, chains: readonly string[]): fc.Arbitrary<Rule> {
  const network = negatable(arbitraryNetwork(family))
  const interfaceName = negatable(fc.constantFrom('eth0', 'cali+', 'lo', 'br-1.2'))
  return fc.record(
    {
      source: network,
      destination: network,
      inInterface: interfaceName,
      outInterface: interfaceName,
      protocol: negatable(fc.constantFrom('tcp', 'udp', 'sctp', 'icmp')),
      matches: fc.array(arbitraryMatch(family), { maxLength: 4 }),
      target: arbitraryTarget(family, chains),
    },
    { requiredKeys: ['matches'], noNullPrototype: true },
  )
}

function arbitraryMatch(family: Family): fc.Arbitrary<Match> {
  const word = fc.stringMatching(/^[A-Za-z0-9_.:-]{1,20}$/).filter((text) => !text.startsWith('-'))
  const bits = fc.record({ value: uint32(), mask: uint32() }, { noNullPrototype: true })
  return fc.oneof(
    record('comment', { text: commentText }),
    arbitraryPorts(),
    optional('addrtype', { source: addressType(), destination: addressType() }).filter(
      (match) => match.kind === 'addrtype' && (match.source !== undefined || match.destination !== undefined),
    ),
    record('conntrack', {
      states: negatable(
        fc.subarray(['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'SNAT', 'DNAT'], { minLength: 1 }),
      ),
    }),
    record('mark', { mark: negatable(bits) }),
    record('statistic', {
      threshold: fc.oneof(
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.integer({ min: 0, max: 4096 }).map((n) => n * 2 ** 19),
      ),
    }),
    record('recent', {
      name: word,
      action: fc.oneof(
        fc.constant({ kind: 'set' as const }),
        fc.record(
          {
            kind: fc.constant('check' as const),
            seconds: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
            reap: fc.boolean(),
          },
          { noNullPrototype: true },
        ),
      ),
    }),
    record('nfacct', { name: fc.oneof(word, fc.constantFrom('a b', 'a"b')) }),
    record('set', {
      set: negatable(
        fc.record(
          { name: word, directions: fc.constantFrom('dst', 'dst,dst', 'dst,dst,src') },
          { noNullPrototype: true },
        ),
      ),
    }),
    record('ipvs', {
      protocol: fc.nat({ max: 255 }),
      address: fc.constantFrom(...(family === 'ipv4' ? ['10.0.0.1', '0.0.0.0'] : ['fd00::1', '::'])),
      port: fc.nat({ max: 65_535 }),
    }),
    record('physdev', { isIn: fc.boolean() }),
    fc.constant<Match>({ kind: 'unknown', words: ['-m', 'limit', '--limit', '5/min'] }),
  ) as fc.Arbitrary<Match>
}

function arbitraryTarget(family: Family, chains: readonly string[]): fc.Arbitrary<Target> {
  const endpoint = family === 'ipv4' ? '10.0.0.1:80' : '[fd00::1]:80'
  const jumps =
    chains.length === 0
      ? []
      : [record('jump', { chain: fc.constantFrom(...chains) }), record('goto', { chain: fc.constantFrom(...chains) })]
  return fc.oneof(
    ...jumps,
    fc.constantFrom<Target>(
      { kind: 'accept' },
      { kind: 'drop' },
      { kind: 'return' },
      { kind: 'reject', with: 'tcp-reset' },
      { kind: 'dnat', to: endpoint },
      { kind: 'masquerade', randomFully: true },
      { kind: 'masquerade', randomFully: false },
      { kind: 'unknown', words: ['-j', 'LOG', '--log-prefix', '"a b"'] },
    ),
    record('mark', { xmark: fc.record({ value: uint32(), mask: uint32() }, { noNullPrototype: true }) }),
  ) as fc.Arbitrary<Target>
}

function arbitraryPorts(): fc.Arbitrary<Match> {
  const range = fc
    .tuple(fc.integer({ min: 0, max: 65_535 }), fc.integer({ min: 0, max: 65_535 }))
    .map(([a, b]): PortRange => ({ from: Math.min(a, b), to: Math.max(a, b) }))
    .filter(({ from, to }) => from > 0 || to < 65_535)
  return fc.record(
    {
      kind: fc.constant('ports' as const),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const),
      source: negatable(range),
      destination: negatable(range),
    },
    { requiredKeys: ['kind', 'protocol'], noNullPrototype: true },
  )
}

function arbitraryNetwork(family: Family): fc.Arbitrary<ReturnType<typeof hostCidr>> {
  const bits = family === 'ipv4' ? 32 : 128
  const address = fc
    .integer({ min: 0, max: 0xffff })
    .map((n) => (family === 'ipv4' ? `10.${n >> 8}.${n & 255}.1` : `fd00:${n.toString(16)}::1`))
  return fc
    .tuple(address, fc.integer({ min: 1, max: bits }))
    .map(([ip, length]) => parseCidr(`${ip}/${length}`) ?? hostCidr(ip as Ip))
}

function addressType(): fc.Arbitrary<Negatable<string>> {
  return negatable(fc.constantFrom('LOCAL', 'UNICAST,LOCAL'))
}

function uint32(): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 0xffffffff })
}

function negatable<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Negatable<T>> {
  return fc.record({ value, not: fc.constant(true as const) }, { requiredKeys: ['value'], noNullPrototype: true })
}

function record<T>(
  kind: string,
  fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> },
): fc.Arbitrary<T & { kind: string }> {
  return fc.record(fields, { noNullPrototype: true }).map((values) => Object.assign({ kind }, values))
}

function optional<T>(kind: string, fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<Match> {
  return fc
    .record(fields, { requiredKeys: [], noNullPrototype: true })
    .map((values) => Object.assign({ kind }, values) as unknown as Match)
}
