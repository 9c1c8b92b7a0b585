import { BlockList } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cidrContains,
  FAMILIES,
  type Family,
  familyOfCidr,
  familyOfIp,
  formatEndpoint,
  hostCidr,
  isLoopback,
  isUnspecified,
  networkAddress,
  parseCidr,
  parseIp,
  prefixLength,
} from '../../src/model/address.ts'

function ip(text: string) {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}

function cidr(text: string) {
  const parsed = parseCidr(text)
  if (parsed === undefined) throw new Error(`${text} is no network`)
  return parsed
}

/** Eight groups, zero more often than not, each written with up to three leading zeros and in either case. */
const ipv6Text: fc.Arbitrary<string> = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(0xffff) }),
      fc.nat(3),
      fc.boolean(),
    ),
    { minLength: 8, maxLength: 8 },
  )
  .map((groups) =>
    groups
      .map(([group, zeros, upper]) => {
        const text = group.toString(16)
        const padded = text.padStart(Math.min(4, text.length + zeros), '0')
        return upper ? padded.toUpperCase() : padded
      })
      .join(':'),
  )
  .chain((text) => fc.constantFrom(text, compressed(text)))

/** Any one run of zero groups as `::`; not the one that RFC 5952 would choose. */
function compressed(text: string): string {
  return text.replace(/(?:^|:)0{1,4}(?::0{1,4})*(?::|$)/, '::')
}

const ipv4Text = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }).map((octets) => octets.join('.'))

describe('IPv6 addresses', () => {
  test('have the canonical text that URLs have', () => {
    fc.assert(
      fc.property(ipv6Text, (text) => {
        fc.pre(!isMapped(text))
        expect(`[${parseIp(text)}]`).toBe(new URL(`http://[${text}]/`).hostname)
      }),
      { numRuns: 2000 },
    )
  })

  test('are what they are written to be when their last 32 bits are written as IPv4', () => {
    fc.assert(
      fc.property(
        ipv4Text,
        fc.constantFrom('::', '64:ff9b::', '2001:db8::', '1:2:3:4:5:6:', '::1:', '0:0:0:0:0:0:'),
        (tail, head) => {
          expect(`[${parseIp(head + tail)}]`).toBe(new URL(`http://[${head}${tail}]/`).hostname)
        },
      ),
      { numRuns: 500 },
    )
  })

  test.each([
    ['2001:DB8:99::0:22', '2001:db8:99::22'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1::2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['fe80::0001', 'fe80::1'],
    ['::1.2.3.4', '::102:304'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is %s', (given, canonical) => {
    expect(parseIp(given)).toBe(canonical)
  })

  test.each([
    ['::ffff:192.168.99.5', '192.168.99.5'],
    ['::FFFF:192.168.99.5', '192.168.99.5'],
    ['::ffff:c0a8:6305', '192.168.99.5'],
    ['0:0:0:0:0:ffff:192.168.099.005', '192.168.99.5'],
  ])('%s is the IPv4 address %s', (given, canonical) => {
    expect(parseIp(given)).toBe(canonical)
    expect(familyOfIp(ip(given))).toBe('ipv4')
  })
})

describe('IPv4 addresses', () => {
  test('are themselves, and leading zeros of an octet are no octal', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(255), fc.nat(3)), { minLength: 4, maxLength: 4 }), (octets) => {
        const given = octets.map(([octet, zeros]) => '0'.repeat(zeros) + octet).join('.')
        expect(parseIp(given)).toBe(octets.map(([octet]) => octet).join('.'))
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    ['172.30.0.041', '172.30.0.41'],
    ['010.000.000.008', '10.0.0.8'],
  ])('%s is %s', (given, canonical) => {
    expect(parseIp(given)).toBe(canonical)
  })
})

describe('text that is no address', () => {
  test.each([
    '',
    ' ',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-4',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '0x7f.0.0.1',
    '0x7f000001',
    '2130706433',
    '1.2.3.4/32',
    '1.2.3.4:80',
    '[::1]',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '1:2:3:4::5:6:7:8',
    ':1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:',
    '1:2:3:4:5:6:7:',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '::1.2.3',
    '::1.2.3.256',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '::ffff:1.2.3.4.5',
    'localhost',
    '١.٢.٣.٤',
    '1.2.3.4\u0000',
  ])('%j is refused', (text) => {
    expect(parseIp(text)).toBeUndefined()
    expect(parseCidr(`${text}/8`)).toBeUndefined()
  })
})

describe('networks', () => {
  test.each([
    ['10.1.2.3/24', '10.1.2.0/24'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['10.255.255.255/9', '10.128.0.0/9'],
    ['203.0.113.000/025', '203.0.113.0/25'],
    ['fd00:1:2:3:4:5:6:7/64', 'fd00:1:2:3::/64'],
    ['fd00:1:2:ffff::/49', 'fd00:1:2:8000::/49'],
    ['FD00::1/128', 'fd00::1/128'],
    ['ffff::/0', '::/0'],
    ['::ffff:10.1.2.3/120', '10.1.2.0/24'],
  ])('%s is %s', (given, canonical) => {
    expect(parseCidr(given)).toBe(canonical)
  })

  test.each([
    '10.0.0.0',
    '10.0.0.0/',
    '/8',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/+8',
    '10.0.0.0/8 ',
    '10.0.0.0/8/8',
    '10.0.0.0/8.0',
    '10.0.0.0/0x8',
    '10.0.0.0/255.0.0.0',
    'fe80::%1/64',
  ])('%j is none', (text) => {
    expect(parseCidr(text)).toBeUndefined()
  })

  test('of their canonical text are themselves', () => {
    fc.assert(
      fc.property(fc.oneof(fc.tuple(ipv4Text, fc.nat(32)), fc.tuple(ipv6Text, fc.nat(128))), ([address, length]) => {
        fc.pre(!isMapped(address))
        const network = cidr(`${address}/${length}`)
        expect(parseCidr(network)).toBe(network)
        expect(prefixLength(network)).toBe(length)
        expect(cidrContains(network, networkAddress(network))).toBe(true)
        expect(familyOfCidr(network)).toBe(familyOfIp(ip(address)))
      }),
      { numRuns: 500 },
    )
  })

  test.each(FAMILIES)('of %s hold the addresses that Node finds in them', (family: Family) => {
    const [text, bits] = family === 'ipv4' ? [ipv4Text, 32] : [ipv6Text, 128]
    fc.assert(
      fc.property(text, text, fc.nat(bits), fc.boolean(), (address, other, length, near) => {
        fc.pre(!isMapped(address) && !isMapped(other))
        const network = cidr(`${address}/${length}`)
        const subject = near ? ip(address) : ip(other)
        const list = new BlockList()
        list.addSubnet(networkAddress(network), length, family)
        expect(cidrContains(network, subject)).toBe(list.check(subject, family))
      }),
      { numRuns: 500 },
    )
  })

  test('hold no address of the other family', () => {
    expect(cidrContains(cidr('0.0.0.0/0'), ip('::1'))).toBe(false)
    expect(cidrContains(cidr('::/0'), ip('10.0.0.1'))).toBe(false)
  })
})

test('the network of one address has all its bits', () => {
  expect(hostCidr(ip('10.0.0.1'))).toBe('10.0.0.1/32')
  expect(hostCidr(ip('fd00::1'))).toBe('fd00::1/128')
})

test('loopback is all of 127.0.0.0/8, and ::1 alone', () => {
  expect(['127.0.0.1', '127.255.0.3', '::1'].map((text) => isLoopback(ip(text)))).toEqual([true, true, true])
  expect(['128.0.0.1', '126.255.255.255', '::2', '::', 'fe80::1'].map((text) => isLoopback(ip(text)))).toEqual([
    false,
    false,
    false,
    false,
    false,
  ])
})

test('unspecified is the address of zeros', () => {
  expect(['0.0.0.0', '::', '0:0::0'].map((text) => isUnspecified(ip(text)))).toEqual([true, true, true])
  expect(['0.0.0.1', '::1'].map((text) => isUnspecified(ip(text)))).toEqual([false, false])
})

test('an endpoint has its IPv6 address in brackets', () => {
  expect(formatEndpoint(ip('10.0.0.1'), 80)).toBe('10.0.0.1:80')
  expect(formatEndpoint(ip('fd00::1'), 80)).toBe('[fd00::1]:80')
})

/** IPv4 in IPv6, which Kubernetes takes for IPv4 and URLs do not. */
function isMapped(text: string): boolean {
  return /^\[::ffff:[0-9a-f]+:[0-9a-f]+\]$/.test(text.includes(':') ? new URL(`http://[${text}]/`).hostname : '')
}
