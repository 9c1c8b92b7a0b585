// Networks as tests on numbers, so that thousands of rules can be tried per packet.
import { type Cidr, type Ip, networkAddress, prefixLength } from '../model/address.ts'

/** Whether an address is in the network; both of one family. */
export type NetworkTest = (ip: Ip) => boolean

const TESTS = new Map<Cidr, NetworkTest>()
const NUMBERS = new Map<Ip, bigint>()
/** Memories are emptied at this size: they only save time. */
const MOST_REMEMBERED = 20_000

export function networkTest(cidr: Cidr): NetworkTest {
  const known = TESTS.get(cidr)
  if (known !== undefined) return known
  const test = makeTest(cidr)
  if (TESTS.size >= MOST_REMEMBERED) TESTS.clear()
  TESTS.set(cidr, test)
  return test
}

/** The only address of a network that has just one. */
export function onlyAddress(cidr: Cidr): Ip | undefined {
  return cidr.endsWith(cidr.includes(':') ? '/128' : '/32') ? networkAddress(cidr) : undefined
}

function makeTest(cidr: Cidr): NetworkTest {
  const only = onlyAddress(cidr)
  if (only !== undefined) return (ip) => ip === only
  const bits = BigInt((cidr.includes(':') ? 128 : 32) - prefixLength(cidr))
  const network = addressNumber(networkAddress(cidr)) >> bits
  return (ip) => addressNumber(ip) >> bits === network
}

/** The address as a number of 32 or 128 bits. */
function addressNumber(ip: Ip): bigint {
  const known = NUMBERS.get(ip)
  if (known !== undefined) return known
  const number = ip.includes(':') ? ipv6Number(ip) : ipv4Number(ip)
  if (NUMBERS.size >= MOST_REMEMBERED) NUMBERS.clear()
  NUMBERS.set(ip, number)
  return number
}

function ipv4Number(ip: string): bigint {
  return BigInt(ip.split('.').reduce((number, octet) => number * 256 + Number(octet), 0))
}

/** Of RFC 5952 text; its last 32 bits may be written as an IPv4 address. */
function ipv6Number(ip: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(ip)
  const [, before = '', last = ''] = dotted ?? []
  const tail = dotted === null ? '' : ipv4Number(last).toString(16).padStart(8, '0')
  const text = dotted === null ? ip : `${before}${tail.slice(0, 4)}:${tail.slice(4)}`
  const [head = '', rest] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const first = groups(head)
  const end = groups(rest ?? '')
  const zeros = rest === undefined ? 0 : 8 - first.length - end.length
  return [...first, ...Array.from({ length: zeros }, () => '0'), ...end].reduce(
    (number, group) => (number << 16n) + BigInt(`0x${group}`),
    0n,
  )
}
