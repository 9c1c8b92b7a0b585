import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatEndpoint, type Ip } from '../../src/model/address.ts'
import { formatPacket, parsePacket } from '../../src/packet/packet.ts'

const problemOf = (text: string) => {
  const parsed = parsePacket(text)
  return 'problem' in parsed ? parsed.problem : undefined
}

describe('packet notation', () => {
  test.each([
    ['tcp 203.0.113.2:40000 -> 192.168.1.63:30380', 'tcp 203.0.113.2:40000 -> 192.168.1.63:30380'],
    ['  UDP 10.0.0.9->10.96.0.10:53 ', 'udp 10.0.0.9:40000 -> 10.96.0.10:53'],
    ['tcp [fd00::9]:1234 -> [fd00:0::1]:80', 'tcp [fd00::9]:1234 -> [fd00::1]:80'],
    ['tcp fd00::9 -> [fd00::1]:80', 'tcp [fd00::9]:40000 -> [fd00::1]:80'],
    ['icmp 10.0.0.9 -> 10.96.0.10', 'icmp 10.0.0.9 -> 10.96.0.10'],
    ['icmpv6 fd00::9 -> fd00::1', 'icmp fd00::9 -> fd00::1'],
  ])('%s is read', (text, expected) => {
    const parsed = parsePacket(text)
    if ('problem' in parsed) throw new Error(parsed.problem)
    const { source = '' as Ip, ...rest } = parsed.value
    expect(formatPacket({ ...rest, source, family: 'ipv4' })).toBe(expected)
  })

  test('the source may be left out', () => {
    const parsed = parsePacket('tcp -> 10.96.1.10:80')
    expect(parsed).toEqual({
      value: { protocol: 'tcp', destination: '10.96.1.10', destinationPort: 80, sourcePort: 40_000 },
    })
  })

  test.each([
    ['tcp 10.0.0.9 10.96.0.1:80', "it has no '->'"],
    ['-> 10.96.0.1:80', 'it has no protocol'],
    ['http 10.0.0.9 -> 10.96.0.1:80', '"http" is not a protocol: use tcp, udp, sctp or icmp'],
    ['tcp 10.0.0.9 -> 10.96.0.1', 'the destination 10.96.0.1 has no port: write it like 10.96.0.1:80'],
    ['tcp 10.0.0.9 -> 10.96.0.1:0', 'port 0 of the destination is not a port: use a number from 1 to 65535'],
    ['tcp 10.0.0.9:70000 -> 10.96.0.1:80', 'port 70000 of the source is not a port'],
    ['tcp 10.0.0.9 -> 10.96.0.1:http', 'port http of the destination is not a port'],
    ['tcp 10.0.0.900 -> 10.96.0.1:80', '"10.0.0.900" is not an address with a port'],
    ['tcp fd00::9 -> 10.96.0.1:80', 'are of different IP families: use two addresses of one family'],
    ['tcp 10.0.0.9 -> [fd00::1]', 'the destination [fd00::1] has no port: write it like [fd00::1]:80'],
    ['tcp fd00::9 -> fd00::zz:80', 'put an IPv6 address that has a port in brackets'],
    ['icmp 10.0.0.9 -> 10.96.0.1:80', 'icmp has no ports: leave out :80'],
    ['tcp 0.0.0.0 -> 10.96.0.1:80', 'nothing is sent from or to 0.0.0.0'],
    ['tcp 10.0.0.9 ->', 'the destination is missing'],
    ['', "it has no '->'"],
  ])('%s is refused, and says why', (text, problem) => {
    expect(problemOf(text)).toContain(problem)
  })

  test('any text gets an answer', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        expect(Object.keys(parsePacket(`tcp ${text} -> ${text}`))).toHaveLength(1)
      }),
    )
  })

  test('what is printed is read again', () => {
    const ip = fc.oneof(fc.ipV4(), fc.constantFrom('10.0.0.1', '192.0.2.9')).filter((text) => text !== '0.0.0.0')
    const port = fc.integer({ min: 1, max: 65_535 })
    fc.assert(
      fc.property(ip, port, ip, port, (source, sourcePort, destination, destinationPort) => {
        const text = `udp ${formatEndpoint(source as Ip, sourcePort)} -> ${formatEndpoint(destination as Ip, destinationPort)}`
        expect(parsePacket(text)).toEqual({
          value: { protocol: 'udp', source, sourcePort, destination, destinationPort },
        })
      }),
    )
  })
})
