// What was asked of `sluice explain`, read from its options.
import type { FindingSeverity } from '../explain/finding.ts'
import type { Tried } from '../explain/viewpoint.ts'
import { type Ip, parseIp } from '../model/address.ts'
import { PROTOCOLS } from '../model/object-name.ts'
import { Failure } from './failure.ts'
import type { RuleSourceOptions } from './rule-source.ts'

export interface ExplainOptions extends RuleSourceOptions {
  readonly namespace?: string
  readonly allNamespaces?: true
  readonly client?: string
  readonly to?: string
  readonly failOn: FindingSeverity
  readonly output: 'text' | 'json' | 'yaml'
  readonly notices?: true
}

export type Asked =
  | { readonly kind: 'one'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'all' }

/** kubectl's way to name a Service: `svc/web`. */
const KIND_WORDS: readonly string[] = ['svc', 'service', 'services']

/** @throws Failure when nothing, or more than one thing, is asked for. */
export function readAsked(name: string | undefined, { namespace, allNamespaces }: ExplainOptions): Asked {
  if (allNamespaces === true) {
    if (name === undefined && namespace === undefined) return { kind: 'all' }
    throw new Failure('-A asks for every Service: leave out the name and -n, or -A')
  }
  if (name === undefined) {
    if (namespace !== undefined) return { kind: 'namespace', namespace }
    throw new Failure('which Service? Give NAMESPACE/SERVICE, -n NAMESPACE for all of one, or -A for all')
  }
  const [first = '', second, ...more] = name.split('/')
  if (more.length > 0 || first === '' || second === '') {
    throw new Failure(`${name} is not the name of a Service: write NAMESPACE/SERVICE, such as default/web`)
  }
  if (second === undefined) return { kind: 'one', namespace: namespace ?? 'default', name: first }
  if (KIND_WORDS.includes(first) && namespace !== undefined) return { kind: 'one', namespace, name: second }
  if (namespace !== undefined && namespace !== first) {
    throw new Failure(`${name} names namespace ${first}, and -n names ${namespace}: give one of them`)
  }
  return { kind: 'one', namespace: first, name: second }
}

/** @throws Failure for what is no IP address. */
export function readClient(given: string | undefined): Ip | undefined {
  if (given === undefined) return undefined
  const ip = parseIp(given)
  if (ip !== undefined) return ip
  throw new Failure(`--client ${given}: this is not an IP address: write one such as 203.0.113.9 or fd00::9`)
}

const HIGHEST_PORT = 65_535

/** `10.96.0.10:80/tcp`, `[fd00::10]:80`, `10.96.0.10`. @throws Failure for anything else. */
export function readTried(given: string | undefined): Tried | undefined {
  if (given === undefined) return undefined
  const [target = '', protocolName = 'tcp', ...more] = given.toLowerCase().split('/')
  const protocol = PROTOCOLS.find((known) => known === protocolName)
  const whole = parseIp(target)
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(target)
  const ip = whole ?? parseIp(match?.[1] ?? match?.[2] ?? '')
  const port = whole === undefined ? Number(match?.[3]) : undefined
  if (ip === undefined || protocol === undefined || more.length > 0) {
    throw new Failure(
      `--to ${given}: write ADDRESS:PORT or ADDRESS:PORT/PROTOCOL, such as 10.96.0.10:80 or [fd00::10]:53/udp`,
    )
  }
  if (port !== undefined && !(port >= 1 && port <= HIGHEST_PORT)) {
    throw new Failure(`--to ${given}: port ${port} is out of range: use a port from 1 to ${HIGHEST_PORT}`)
  }
  return { ip, protocol, ...(port !== undefined && { port }) }
}
