// Entries of a real kernel's connection table, made by real traffic: what we read over netlink is what the conntrack tool
// reads, and what we delete is what we named.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Family, type Ip, parseIp } from '../../src/model/address.ts'
import type { ConntrackFlow } from '../../src/sync/conntrack-flow.ts'
import { missingInNamespace, type Namespace, openNamespace } from '../support/namespace.ts'

const missing = missingInNamespace('conntrack -L >/dev/null; nfacct list; iptables -L >/dev/null; python3 -V')

const SETUP = `
  ip link set lo up
  ip address add 10.240.0.4/32 dev lo; ip address add 10.240.0.5/32 dev lo
  ip -6 address add fd00:10::4/128 dev lo nodad
  ip route add 172.30.0.0/16 dev lo; ip -6 route add fd00:30::/64 dev lo
  iptables -t nat -A OUTPUT -p udp -d 172.30.1.1 --dport 53 -j DNAT --to-destination 10.240.0.4:5353
  iptables -t nat -A OUTPUT -p tcp -d 172.30.1.1 --dport 53 -j DNAT --to-destination 10.240.0.4:5353
  ip6tables -t nat -A OUTPUT -p udp -d fd00:30::1 --dport 53 -j DNAT --to-destination [fd00:10::4]:5353
`
/** Sends one datagram from each port, and opens one TCP connection. */
const TRAFFIC = `python3 -c '
import socket
for port in (4001, 4002, 4003):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.240.0.5", port)); s.sendto(b"x", ("172.30.1.1", 53))
for port in (4001, 4002):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("fd00:10::4", port)); s.sendto(b"x", ("fd00:30::1", 53))
l = socket.socket(); l.bind(("10.240.0.4", 5353)); l.listen()
c = socket.socket(); c.connect(("172.30.1.1", 53))
'`

describe.skipIf(missing !== undefined)('the connection table', () => {
  let kernel: Namespace
  beforeAll(async () => {
    kernel = await openNamespace()
    await kernel.sh(SETUP)
    await kernel.sh(TRAFFIC)
  })
  afterAll(() => kernel.hands.close())

  test.each(['ipv4', 'ipv6'] as const)('is dumped as conntrack -L shows its UDP entries (%s)', async (family) => {
    const flows = await kernel.hands.dumpConntrack(family)
    expect(flows.length).toBeGreaterThanOrEqual(family === 'ipv4' ? 3 : 2)
    expect(flows.map(lineOf).toSorted()).toEqual(await listed(family))
  })

  test('shows where traffic to a Service went', async () => {
    const flows = await kernel.hands.dumpConntrack('ipv4')
    const flow = flows.find(({ original }) => original.sourcePort === 4001)
    expect(flow).toMatchObject({
      protocol: 'udp',
      original: { source: '10.240.0.5', sourcePort: 4001, destination: '172.30.1.1', destinationPort: 53 },
      reply: { source: '10.240.0.4', sourcePort: 5353, destinationPort: 4001 },
    })
  })

  test.each(['ipv4', 'ipv6'] as const)('loses exactly the entries that are named (%s)', async (family) => {
    const flows = await kernel.hands.dumpConntrack(family)
    const [first, ...others] = flows.filter(({ original }) => original.destinationPort === 53)
    if (first === undefined) throw new Error('there is no entry')
    expect(await kernel.hands.deleteConntrack(family, [first])).toBe(1)
    const left = await listed(family)
    expect(left).not.toContain(lineOf(first))
    expect(left).toEqual(expect.arrayContaining(others.map(lineOf)))
    expect(await kernel.hands.deleteConntrack(family, [first])).toBe(0)
  })

  test('loses an entry without its number only if both directions are as named', async () => {
    await kernel.sh(
      'conntrack -I -p udp -s 10.0.0.1 -d 172.30.1.1 --sport 900 --dport 53 -r 10.240.0.4 -q 10.0.0.1 --reply-port-src 5353 --reply-port-dst 900 -t 60',
    )
    const flow = (await kernel.hands.dumpConntrack('ipv4')).find(({ original }) => original.sourcePort === 900)
    if (flow === undefined) throw new Error('there is no entry')
    const { id: _, ...unnumbered } = flow
    const elsewhere: ConntrackFlow = { ...unnumbered, reply: { ...flow.reply, source: ip('10.240.0.9') } }
    const newer: ConntrackFlow = { ...flow, id: ((flow.id ?? 0) ^ 1) >>> 0 }
    expect(await kernel.hands.deleteConntrack('ipv4', [elsewhere, newer])).toBe(0)
    expect(await listed('ipv4')).toContain(lineOf(flow))
    expect(await kernel.hands.deleteConntrack('ipv4', [elsewhere, unnumbered])).toBe(1)
    expect(await listed('ipv4')).not.toContain(lineOf(flow))
  })

  test('never loses an entry of TCP', async () => {
    const { stdout } = await kernel.sh('conntrack -L -p tcp 2>/dev/null')
    expect(stdout).toContain('dst=172.30.1.1')
    const flows = await kernel.hands.dumpConntrack('ipv4')
    await kernel.hands.deleteConntrack('ipv4', flows)
    expect(await listed('ipv4')).toEqual([])
    expect((await kernel.sh('conntrack -L -p tcp 2>/dev/null')).stdout).toContain('dst=172.30.1.1')
  })

  test('of 5,000 entries is read and emptied, with more going on at the same time', async () => {
    const entries = Array.from({ length: 5_000 }, (_, index) => {
      const client = `10.1.${index >> 8}.${index & 255}`
      return `-I -p udp -s ${client} -d 172.30.1.2 --sport 1000 --dport 53 -r 10.240.0.4 -q ${client} --reply-port-src 53 --reply-port-dst 1000 -t 600\n`
    })
    await kernel.sh(
      'cat > /tmp/sluice-ct-$$; conntrack -R /tmp/sluice-ct-$$ >/dev/null 2>&1; rm /tmp/sluice-ct-$$',
      entries.join(''),
    )
    const { hands } = kernel
    const [flows, again] = await Promise.all([
      hands.dumpConntrack('ipv4'),
      hands.dumpConntrack('ipv4'),
      hands.listAddresses(),
    ])
    expect(flows).toHaveLength(5_000)
    expect(again).toEqual(flows)
    const deleted = await Promise.all([hands.deleteConntrack('ipv4', flows), hands.deleteConntrack('ipv4', flows)])
    expect(new Set(deleted)).toEqual(new Set([0, 5_000]))
    expect(await hands.dumpConntrack('ipv4')).toEqual([])
  })

  async function listed(family: Family): Promise<readonly string[]> {
    const { stdout } = await kernel.sh(`conntrack -L -p udp -f ${family} 2>/dev/null`)
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map(readLine)
      .toSorted()
  }
})

describe.skipIf(missing !== undefined)('beside the connection table', () => {
  let kernel: Namespace
  beforeAll(async () => {
    kernel = await openNamespace()
  })
  afterAll(() => kernel.hands.close())

  test('counters are made once, and count packets', async () => {
    const { hands } = kernel
    expect(await hands.ensureCounters(['first', 'second', 'x'.repeat(32)])).toEqual(['first', 'second'])
    expect(await hands.ensureCounters(['second', 'third'])).toEqual(['second', 'third'])
    await kernel.sh('ip link set lo up; iptables -A OUTPUT -p udp -m nfacct --nfacct-name second -j ACCEPT')
    await kernel.sh(`python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(3): s.sendto(b"x", ("127.0.0.1", 9))'`)
    expect(await hands.readCounters(['first', 'second', 'missing'])).toEqual(
      new Map([
        ['first', 0],
        ['second', 3],
      ]),
    )
  })

  test('addresses are listed, and word comes when they change', async () => {
    const { hands } = kernel
    let changes = 0
    hands.onAddressChange(() => (changes += 1))
    await kernel.sh('ip link set lo up; ip link add br0 type bridge')
    const before = changes
    await kernel.sh('ip address add 192.0.2.7/24 dev br0')
    await expect.poll(() => changes).toBeGreaterThan(before)
    expect(await hands.listAddresses()).toContain('192.0.2.7')
    const added = changes
    await kernel.sh('ip address del 192.0.2.7/24 dev br0')
    await expect.poll(() => changes).toBeGreaterThan(added)
    expect(await hands.listAddresses()).not.toContain('192.0.2.7')
  })

  test('thousands of address changes at once leave hands that work', async () => {
    const { hands } = kernel
    let changes = 0
    hands.onAddressChange(() => (changes += 1))
    const lines = Array.from(
      { length: 3_000 },
      (_, index) => `address add 10.9.${index >> 8}.${index & 255}/32 dev br0\n`,
    )
    await kernel.sh('ip -batch -', lines.join(''))
    await expect.poll(() => changes).toBeGreaterThan(0)
    expect(await hands.listAddresses()).toContain('10.9.11.183')
  })
})

function readLine(line: string): string {
  return [...line.matchAll(/\b(?:src|dst|sport|dport)=(\S+)/g)].map(([, value]) => value).join(' ')
}

function lineOf({ original, reply }: ConntrackFlow): string {
  return [original, reply]
    .map(
      ({ source, destination, sourcePort, destinationPort }) =>
        `${source} ${destination} ${sourcePort} ${destinationPort}`,
    )
    .join(' ')
}

function ip(text: string): Ip {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}
