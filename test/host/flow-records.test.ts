// Packed and unpacked, an entry is the same; the bytes are what the kernel has.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { packFlows, recordLength, unpackFlows } from '../../src/host/flow-records.ts'
import { FAMILIES, type Family, type Ip, parseIp } from '../../src/model/address.ts'
import type { ConntrackFlow, FlowTuple } from '../../src/sync/conntrack-flow.ts'

const port = fc.integer({ min: 0, max: 65_535 })

function address(family: Family): fc.Arbitrary<Ip> {
  const text = family === 'ipv4' ? fc.ipV4() : fc.ipV6()
  return text.map((each) => parseIp(each)).filter((each): each is Ip => each?.includes(':') === (family === 'ipv6'))
}

function tuple(family: Family): fc.Arbitrary<FlowTuple> {
  return fc.record({
    source: address(family),
    sourcePort: port,
    destination: address(family),
    destinationPort: port,
  })
}

function flow(family: Family): fc.Arbitrary<ConntrackFlow> {
  const id = fc.integer({ min: 1, max: 0xffffffff })
  return fc.record(
    { protocol: fc.constant('udp' as const), original: tuple(family), reply: tuple(family), id },
    { requiredKeys: ['protocol', 'original', 'reply'] },
  )
}

describe.each(FAMILIES)('records of %s', (family) => {
  test('give the flows back', () => {
    const given = fc.property(fc.array(flow(family)), (flows) => {
      const records = packFlows(family, flows)
      expect(records.length).toBe(flows.length * recordLength(family))
      expect(unpackFlows(family, records)).toEqual(flows)
    })
    fc.assert(given)
  })
})

describe('records', () => {
  const given: ConntrackFlow = {
    protocol: 'udp',
    original: { source: ip('10.0.0.1'), sourcePort: 258, destination: ip('172.30.1.1'), destinationPort: 53 },
    reply: { source: ip('10.240.0.4'), sourcePort: 5353, destination: ip('10.0.0.1'), destinationPort: 258 },
    id: 0xa0b0c0d0,
  }

  test('are addresses, ports and number in network byte order', () => {
    const hex = '0a000001 ac1e0101 0102 0035 0af00004 0a000001 14e9 0102 a0b0c0d0'.replaceAll(' ', '')
    expect(packFlows('ipv4', [given]).toString('hex')).toBe(hex)
  })

  test('leave out flows of the other family', () => {
    expect(packFlows('ipv6', [given])).toHaveLength(0)
  })

  test('leave out IPv6 entries with an IPv4 address in them', () => {
    const mapped = `${'0'.repeat(20)}ffff0a000001`
    const plain = 'fd000000000000000000000000000001'
    const record = Buffer.from(`${mapped}${plain}00010002${plain}${plain}0001000200000001`, 'hex')
    expect(record).toHaveLength(recordLength('ipv6'))
    expect(unpackFlows('ipv6', record)).toEqual([])
  })
})

function ip(text: string): Ip {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}
