// Shorthands for the parts of rules that the compiler writes, so that a chain in the source reads as a list.
import { prefixLength } from '../model/address.ts'
import type { LocalDetector } from '../model/node.ts'
import type { Protocol } from '../model/object-name.ts'
import type { ChainName, Match, Negatable, Rule, Target } from './rule.ts'

export const ACCEPT: Target = { kind: 'accept' }
export const DROP: Target = { kind: 'drop' }

export function jump(chain: ChainName): Target {
  return { kind: 'jump', chain }
}

export function comment(text: string): Match {
  return { kind: 'comment', text }
}

export function toPort(protocol: Protocol, port: number): Match {
  return { kind: 'ports', protocol, destination: { value: { from: port, to: port } } }
}

/** The match of a protocol's module without any condition: rules that DNAT carry it. */
export function anyPort(protocol: Protocol): Match {
  return { kind: 'ports', protocol }
}

/** Decided by the routing table: an address of this node. */
export const TO_LOCAL: Match = { kind: 'addrtype', destination: { value: 'LOCAL' } }
export const FROM_LOCAL: Match = { kind: 'addrtype', source: { value: 'LOCAL' } }

/** The header that recognises pod traffic, or all other traffic. */
export function fromPods(detector: LocalDetector, not: boolean): Pick<Rule, 'source' | 'inInterface'> {
  if (detector.kind === 'source') {
    // All addresses are no condition, and the kernel does not keep it.
    return prefixLength(detector.cidr) === 0 && !not ? {} : { source: negatable(detector.cidr, not) }
  }
  return { inInterface: negatable(detector.name, not) }
}

/** The match that passes with probability 1/n. kube-proxy writes 10 decimals and the kernel keeps 31 bits of them. */
export function oneIn(n: number): Match {
  return { kind: 'statistic', threshold: Math.round(Number((1 / n).toFixed(10)) * 2 ** 31) }
}

export function rejectWith(family: 'ipv4' | 'ipv6'): Target {
  return { kind: 'reject', with: family === 'ipv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable' }
}

function negatable<T>(value: T, not: boolean): Negatable<T> {
  return not ? { value, not: true } : { value }
}
