// The packet and its origin, from the words of the command line and the objects of the input.
import { FAMILIES, type Family, familyOfIp, type Ip, parseIp } from '../model/address.ts'
import type { Service, Snapshot } from '../model/snapshot.ts'
import { exampleSource, type Origin, type OriginKind, originAs, originOf } from '../packet/origin.ts'
import { type Packet, type PacketNotation, parsePacket } from '../packet/packet.ts'
import { Failure } from './failure.ts'
import type { RuleSource } from './rule-source.ts'
import { networkFor } from './trace-network.ts'
import { listNames } from './words.ts'

export interface ReadPacket {
  readonly packet: Packet
  /** Absent when the source's address decides. */
  readonly origin?: Origin
}

interface PacketOptions {
  readonly from?: string
  readonly namespace?: string
  readonly host?: string
  readonly family?: Family
}

const KINDS: ReadonlyMap<string, OriginKind> = new Map([
  ['pod', 'pod'],
  ['node', 'node'],
  ['other-node', 'other node'],
  ['other node', 'other node'],
  ['outside', 'outside'],
])

/** @throws Failure that says what is wrong with the packet or --from. */
export function readPacket(text: string, source: RuleSource, options: PacketOptions): ReadPacket {
  const parsed = parsePacket(resolveService(text, source.snapshot, options))
  if ('problem' in parsed) throw new Failure(parsed.problem)
  const { value } = parsed
  const family = familyOfIp(value.destination)
  if (options.family !== undefined && options.family !== family) {
    throw new Failure(`--family ${options.family}: the packet is ${family}: leave one of them out`)
  }
  return options.from === undefined ? withoutOrigin(value, text) : withOrigin(value, options.from, source, options)
}

function withoutOrigin(notation: PacketNotation, text: string): ReadPacket {
  const { source } = notation
  if (source !== undefined) return { packet: complete(notation, source) }
  throw new Failure(
    `packet ${JSON.stringify(text)} has no source: write one before the ->, or give --from pod, node, other-node or outside`,
  )
}

function withOrigin(notation: PacketNotation, from: string, source: RuleSource, options: PacketOptions): ReadPacket {
  const family = familyOfIp(notation.destination)
  const network = networkFor(source, family, options.host)
  const kind = KINDS.get(from.trim().toLowerCase())
  if (kind !== undefined) {
    const address = notation.source ?? exampleSource(network, kind, notation.destination)
    if (address !== undefined) return { packet: complete(notation, address), origin: originAs(network, kind, address) }
    throw new Failure(
      `--from ${from}: no address of such a source is known (no pod network in the input): write the source before the ->`,
    )
  }
  const address = parseIp(from) ?? podAddress(from, family, source, options.namespace)
  if (familyOfIp(address) !== family) {
    throw new Failure(`--from ${from}: the packet is ${family}, and ${address} is not: use addresses of one family`)
  }
  if (notation.source !== undefined && notation.source !== address) {
    throw new Failure(`--from ${from} is ${address}, and the packet says ${notation.source}: give one of them`)
  }
  const packet = complete(notation, address)
  const isPod = parseIp(from) === undefined
  return { packet, origin: isPod ? originAs(network, 'pod', address) : originOf(network, address) }
}

function complete({ protocol, sourcePort, destination, destinationPort }: PacketNotation, source: Ip): Packet {
  return { family: familyOfIp(destination), protocol, source, sourcePort, destination, destinationPort }
}

/** The address of a Pod of the input, from `NAMESPACE/NAME`, with or without `pod` before it. */
function podAddress(from: string, family: Family, { objects }: RuleSource, namespace = 'default'): Ip {
  const words = from.replace(/^pods?[ /](?=.)/, '')
  const [, given = namespace, name = ''] = /^(?:([^/\s]+)\/)?([^/\s]+)$/.exec(words) ?? []
  const choices = 'write pod, node, other-node, outside, an address, or a Pod as NAMESPACE/NAME'
  if (name === '') throw new Failure(`--from ${from} makes no sense: ${choices}`)
  if (objects === undefined)
    throw new Failure(`--from ${from}: there are no Pods beside the rules: give -f MANIFESTS with it, or ${choices}`)
  const pods = objects.map(({ value }) => value).filter((value) => value['kind'] === 'Pod')
  const pod = pods.find((value) => namesOf(value) === `${given}/${name}`)
  if (pod === undefined) {
    const known = pods.length === 0 ? 'it has no Pods' : `it has ${listNames(pods.map(namesOf))}`
    throw new Failure(`--from ${from}: there is no Pod ${given}/${name} in the input (${known}): ${choices}`)
  }
  const ips = addressesOf(pod)
  const ip = ips.find((address) => familyOfIp(address) === family)
  if (ip !== undefined) return ip
  throw new Failure(`--from ${from}: the Pod has no ${family} address in its status: write the source before the ->`)
}

function namesOf(object: Readonly<Record<string, unknown>>): string {
  const metadata = asMap(object['metadata'])
  const { namespace = 'default', name = '' } = metadata
  return typeof namespace === 'string' && typeof name === 'string' ? `${namespace}/${name}` : ''
}

function addressesOf(pod: Readonly<Record<string, unknown>>): readonly Ip[] {
  const status = asMap(pod['status'])
  const list: readonly unknown[] = Array.isArray(status['podIPs']) ? status['podIPs'] : []
  return [status['podIP'], ...list.map((item) => asMap(item)['ip'])].flatMap((text) => {
    return typeof text === 'string' ? (parseIp(text) ?? []) : []
  })
}

function asMap(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

const SERVICE_DESTINATION =
  /^(\s*\S+\s.*->\s*|\s*\S+\s*->\s*)((?:[a-z0-9][-a-z0-9]*\/)?[a-z][-a-z0-9]*):([-a-z0-9]+)\s*$/

/** `tcp -> shop/web:http` becomes `tcp -> 10.96.1.10:80`. Text without a Service stays. */
function resolveService(text: string, snapshot: Snapshot | undefined, options: PacketOptions): string {
  const [, before, named, portText = ''] = SERVICE_DESTINATION.exec(text) ?? []
  if (before === undefined || named === undefined) return text
  const service = findService(named, snapshot, options.namespace, `packet: ${named}`)
  const wanted =
    before.includes('[') || /^\s*\S+\s+[0-9a-f]*:[0-9a-f:]+\s*->/.test(before) ? 'ipv6' : (options.family ?? undefined)
  const family = wanted ?? FAMILIES.find((candidate) => service.clusterIPs[candidate] !== undefined) ?? 'ipv4'
  const ip = service.clusterIPs[family]
  if (ip === undefined)
    throw new Failure(`packet: Service ${named} has no ${family} cluster IP: write an address instead`)
  const port = service.ports.find((candidate) => candidate.name === portText)?.port ?? portText
  if (!/^\d+$/.test(String(port))) {
    const ports = service.ports.map(({ name, port: number }) => (name === '' ? String(number) : name))
    throw new Failure(`packet: Service ${named} has no port ${portText}: it has ${listNames(ports)}`)
  }
  return `${before}${ip.includes(':') ? `[${ip}]` : ip}:${port}`
}

/** @throws Failure when it is not in the input; `option` is what names it. */
export function findService(
  named: string,
  snapshot: Snapshot | undefined,
  namespace: string | undefined,
  option: string,
): Service {
  if (snapshot === undefined)
    throw new Failure(`${option}: rules alone don't know Services: give -f MANIFESTS or --kubeconfig FILE beside them`)
  const key = named.includes('/') ? named : `${namespace ?? 'default'}/${named}`
  const entry = snapshot.services.find((candidate) => candidate.key === key)
  if (entry !== undefined) return entry.service
  const known =
    snapshot.services.length === 0 ? 'it has none' : `it has ${listNames(snapshot.services.map((other) => other.key))}`
  throw new Failure(`${option}: there is no such Service in the input (${known}): write NAMESPACE/NAME`)
}
