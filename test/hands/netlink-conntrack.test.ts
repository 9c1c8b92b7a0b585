// What becomes of dumps and deletions that the kernel interrupts. The kernel is played here, message by message; the real
// one is in test/kernel/netlink-conntrack.test.ts.
import { describe, expect, test } from 'vitest'
import { deleteRecords, dumpRecords } from '../../src/hands/netlink-conntrack.ts'
import { attribute, type Message, nestedAttribute, netfilterPayload } from '../../src/hands/netlink-message.ts'
import type { NetlinkSession } from '../../src/hands/netlink-session.ts'
import { packFlows, unpackFlows } from '../../src/host/flow-records.ts'
import { NetlinkError } from '../../src/host/hands.ts'
import type { Ip } from '../../src/model/address.ts'
import type { ConntrackFlow } from '../../src/sync/conntrack-flow.ts'

const UDP = 17
const TCP = 6

type Outcome = 'complete' | 'interrupted' | NetlinkError

/** A kernel that answers dumps with these outcomes, and always with the same messages. */
function kernel(
  outcomes: readonly Outcome[],
  messages: readonly Buffer[],
): NetlinkSession & { readonly dumps: () => number } {
  let dumps = 0
  return {
    dumps: () => dumps,
    ask: () => Promise.reject(new Error('not asked in these tests')),
    askAll: () => Promise.reject(new Error('not asked in these tests')),
    dump: async (_type, _payload, each) => {
      const outcome = outcomes[dumps] ?? 'complete'
      dumps += 1
      for (const payload of messages) each(payload, whole(payload))
      if (typeof outcome !== 'string') throw outcome
      return outcome
    },
  }
}

function whole(payload: Buffer): Message {
  return { type: 0, flags: 0, sequence: 1, from: 0, to: payload.length }
}

function entry(clientPort: number, protocol = UDP, more: readonly Buffer[] = []): Buffer {
  const id = Buffer.alloc(4)
  id.writeUInt32BE(clientPort)
  return netfilterPayload(2, [
    tuple(1, [10, 0, 0, 1], [172, 30, 1, 1], clientPort, 53, protocol),
    tuple(2, [10, 240, 0, 4], [10, 0, 0, 1], 5353, clientPort, protocol),
    attribute(12, id),
    ...more,
  ])
}

function tuple(type: number, from: number[], to: number[], fromPort: number, toPort: number, protocol: number): Buffer {
  const port = (number: number) => Buffer.of(number >> 8, number & 255)
  return nestedAttribute(type, [
    nestedAttribute(1, [attribute(1, Buffer.from(from)), attribute(2, Buffer.from(to))]),
    nestedAttribute(2, [attribute(1, Buffer.of(protocol)), attribute(2, port(fromPort)), attribute(3, port(toPort))]),
  ])
}

async function portsOf(session: NetlinkSession): Promise<readonly number[]> {
  const flows = unpackFlows('ipv4', await dumpRecords(session, 'ipv4'))
  return flows.map(({ original }) => original.sourcePort)
}

const EINTR = new NetlinkError('EINTR', 'interrupted')

describe('a dump', () => {
  test('holds the UDP entries, and none of other protocols or of zones', async () => {
    const zone = attribute(18, Buffer.of(0, 5))
    const messages = [entry(1), entry(2, TCP), entry(3, UDP, [zone]), entry(4), netfilterPayload(2, [])]
    expect(await portsOf(kernel([], messages))).toEqual([1, 4])
  })

  test('keeps the growing number of entries', async () => {
    const messages = Array.from({ length: 6_000 }, (_, index) => entry(index + 1))
    expect(await portsOf(kernel([], messages))).toEqual(messages.map((_, index) => index + 1))
  })

  test.each([
    [['interrupted', 'complete'], 2],
    [[EINTR, 'interrupted', EINTR, 'complete'], 4],
    [['interrupted', 'interrupted', 'interrupted', 'interrupted', 'interrupted', 'complete'], 5],
    [[EINTR, EINTR, EINTR, EINTR, EINTR, 'complete'], 5],
  ] as const)('that ends as %j is made %i times, and its entries stand once', async (outcomes, dumps) => {
    const session = kernel(outcomes, [entry(1), entry(2)])
    expect(await portsOf(session)).toEqual([1, 2])
    expect(session.dumps()).toBe(dumps)
  })

  test('that fails in another way is not made again', async () => {
    const session = kernel([new NetlinkError('EPERM', 'no')], [])
    await expect(dumpRecords(session, 'ipv4')).rejects.toMatchObject({ code: 'EPERM' })
    expect(session.dumps()).toBe(1)
  })

  test('is not confused by what is cut off', async () => {
    const messages = Array.from({ length: entry(1).length }, (_, length) => entry(1).subarray(0, length))
    const ports = await portsOf(kernel([], [...messages, entry(2)]))
    expect(ports.at(-1)).toBe(2)
  })
})

describe('a deletion', () => {
  const flows = Array.from({ length: 150 }, (_, index) => flow(index + 1))

  test('counts the entries that were there', async () => {
    const sent: number[] = []
    const session = deleting((index) => (index % 2 === 0 ? 'ENOENT' : undefined), sent)
    expect(await deleteRecords(session, 'ipv4', packFlows('ipv4', flows))).toBe(75)
    expect(sent).toEqual([64, 64, 22])
  })

  test('is repeated for the entries at which it was interrupted, five times at most', async () => {
    const sent: number[] = []
    const session = deleting((index) => (index === 2 ? 'EINTR' : undefined), sent)
    expect(await deleteRecords(session, 'ipv4', packFlows('ipv4', flows.slice(0, 4)))).toBe(4)
    expect(sent).toEqual([4, 1])
    const never: number[] = []
    const stuck = deleting(() => 'EINTR', never)
    expect(await deleteRecords(stuck, 'ipv4', packFlows('ipv4', flows.slice(0, 2)))).toBe(0)
    expect(never).toEqual([2, 2, 2, 2, 2])
  })

  test('that the kernel refuses is an error', async () => {
    const session = deleting(() => 'EPERM', [])
    await expect(deleteRecords(session, 'ipv4', packFlows('ipv4', flows))).rejects.toMatchObject({ code: 'EPERM' })
  })

  /** `codeOf` is asked with the place of the request in its datagram. */
  function deleting(codeOf: (index: number) => string | undefined, sent: number[]): NetlinkSession {
    return {
      ...kernel([], []),
      askAll: (_type, payloads) => {
        sent.push(payloads.length)
        return Promise.resolve(payloads.map((_, index) => codeOf(index)))
      },
    }
  }
})

function flow(id: number): ConntrackFlow {
  const original = { source: '10.0.0.1' as Ip, sourcePort: id, destination: '172.30.1.1' as Ip, destinationPort: 53 }
  const reply = { source: '10.240.0.4' as Ip, sourcePort: 53, destination: '10.0.0.1' as Ip, destinationPort: id }
  return { protocol: 'udp', original, reply, id }
}
