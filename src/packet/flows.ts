// flows.txt: what must happen to packets, written by people beside a scenario, one packet a line:
//
//   # from        proto  to              outcome
//   10.244.1.9    tcp    10.96.1.10:80   dnat 10.244.1.5:8080 50%, 10.244.2.5:8080 50% masquerade   # why
//
// The outcome is `dnat` with endpoints, `drop`, `reject` or `no match`. A single endpoint needs no share. Shares hold as
// far as they are written: 33% is anything that rounds to it. Where a mode of the proxy differs, the line after it says
// so, with the mode in place of the packet:
//
//   198.51.100.2  tcp    192.168.1.63:30080  drop
//   ipvs:                                    dnat 10.244.2.5:8080
import { familyOfIp, formatEndpoint, type Ip, parseIp } from '../model/address.ts'
import type { ProxyMode } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import { type Packet, parsePacket } from './packet.ts'
import { type Share, shareAsNumber } from './share.ts'
import type { LikelyOutcome } from './trace.ts'

export interface Flow {
  readonly line: number
  readonly packet: Packet
  readonly expected: ExpectedOutcome
}

export type ExpectedOutcome =
  | { readonly kind: 'dnat'; readonly endpoints: readonly ExpectedEndpoint[] }
  | { readonly kind: 'drop' | 'reject' | 'no match' }

export interface ExpectedEndpoint {
  /** `10.244.1.5:8080` */
  readonly endpoint: string
  /** In percent, as written; absent when it is the only one. */
  readonly percent?: string
  readonly masquerade: boolean
}

const LINE = /^(\S+)\s+(\S+)\s+(\S+)\s+(.*\S)\s*$/
const DIFFERENCE = /^(iptables|ipvs|nftables):\s+(.*\S)\s*$/
const ENDPOINT = /^(\S+)(?:\s+(\d+(?:\.\d+)?)%)?(\s+masquerade)?$/

/**
 * What must happen in one mode. Lines that are none become issues with their numbers; blank lines and what follows ` #` are
 * comments.
 */
export function parseFlows(
  text: string,
  mode: ProxyMode,
): { readonly flows: readonly Flow[]; readonly issues: readonly Issue[] } {
  const flows: Flow[] = []
  const issues: Issue[] = []
  for (const [index, whole] of text.split('\n').entries()) {
    const line = whole.replace(/(^|\s)#.*$/, '')
    if (line.trim() === '') continue
    const [, of, otherwise] = DIFFERENCE.exec(line) ?? []
    const before = flows.at(-1)
    if (of !== undefined && otherwise !== undefined) {
      const expected = parseOutcome(otherwise)
      const message =
        before === undefined
          ? `${of}: stands below a packet: write the packet first`
          : expected === undefined
            ? noOutcome(otherwise)
            : undefined
      if (message !== undefined) issues.push({ severity: 'error', at: { line: index + 1 }, message })
      else if (of === mode && before !== undefined && expected !== undefined)
        flows.splice(-1, 1, { ...before, expected })
      continue
    }
    const read = parseFlow(line, index + 1)
    if (typeof read === 'string') issues.push({ severity: 'error', at: { line: index + 1 }, message: read })
    else flows.push(read)
  }
  return { flows, issues }
}

function parseFlow(line: string, number: number): Flow | string {
  const [, from = '', protocol = '', to = '', outcomeText] = LINE.exec(line) ?? []
  if (outcomeText === undefined) return 'write a packet as: FROM PROTOCOL TO OUTCOME'
  const parsed = parsePacket(`${protocol} ${from} -> ${to}`)
  if ('problem' in parsed) return parsed.problem
  const { source, ...rest } = parsed.value
  if (source === undefined) return 'the source is missing'
  const expected = parseOutcome(outcomeText)
  if (expected === undefined) return noOutcome(outcomeText)
  return { line: number, packet: { ...rest, source, family: familyOfIp(rest.destination) }, expected }
}

function noOutcome(text: string): string {
  return `${JSON.stringify(text)} is no outcome: write dnat with endpoints, drop, reject or no match`
}

function parseOutcome(text: string): ExpectedOutcome | undefined {
  if (text === 'drop' || text === 'reject' || text === 'no match') return { kind: text }
  if (!text.startsWith('dnat ')) return undefined
  const endpoints = text.slice(5).split(/,\s*/).map(parseEndpoint)
  return endpoints.every((endpoint) => endpoint !== undefined) ? { kind: 'dnat', endpoints } : undefined
}

function parseEndpoint(text: string): ExpectedEndpoint | undefined {
  const [, written = '', percent, masquerade] = ENDPOINT.exec(text.trim()) ?? []
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(written) ?? []
  const ip: Ip | undefined = parseIp(bracketed ?? plain ?? '')
  if (ip === undefined) return undefined
  const endpoint = formatEndpoint(ip, Number(port))
  return { endpoint, masquerade: masquerade !== undefined, ...(percent !== undefined && { percent }) }
}

/** What differs between the expectation and a trace's outcomes, in words; undefined when nothing does. */
export function compareFlow(expected: ExpectedOutcome, outcomes: readonly LikelyOutcome[]): string | undefined {
  const actual = outcomes.map(describeOutcome).toSorted()
  if (expected.kind !== 'dnat') {
    return outcomes.every(({ outcome }) => outcome.kind === expected.kind)
      ? undefined
      : `expected ${expected.kind}, found ${actual.join(', ')}`
  }
  const { endpoints } = expected
  const matched = endpoints.every((endpoint) =>
    outcomes.some((likely) => matchesEndpoint(endpoint, likely, endpoints.length === 1)),
  )
  if (matched && endpoints.length === outcomes.length) return undefined
  return `expected ${endpoints.map(formatExpected).toSorted().join(', ')}, found ${actual.join(', ')}`
}

function matchesEndpoint(expected: ExpectedEndpoint, { outcome, share }: LikelyOutcome, alone: boolean): boolean {
  if (outcome.kind !== 'dnat' || outcome.masqueraded !== expected.masquerade) return false
  if (formatEndpoint(outcome.destination, outcome.destinationPort) !== expected.endpoint) return false
  return matchesShare(expected.percent ?? (alone ? '100' : ''), share)
}

/** To as many decimals as are written. */
function matchesShare(percent: string, share: Share): boolean {
  const decimals = percent.split('.')[1]?.length ?? 0
  return percent !== '' && (shareAsNumber(share) * 100).toFixed(decimals) === Number(percent).toFixed(decimals)
}

function formatExpected({ endpoint, percent, masquerade }: ExpectedEndpoint): string {
  return `${endpoint}${percent === undefined ? '' : ` ${percent}%`}${masquerade ? ' masquerade' : ''}`
}

function describeOutcome({ outcome, share, assuming }: LikelyOutcome): string {
  const condition = assuming === undefined ? '' : ` (${assuming.join('; ')})`
  const chance = ` ${(shareAsNumber(share) * 100).toFixed(1)}%`
  if (outcome.kind !== 'dnat') return `${outcome.kind}${chance}${condition}`
  const end = formatEndpoint(outcome.destination, outcome.destinationPort)
  return `${end}${chance}${outcome.masqueraded ? ' masquerade' : ''}${condition}`
}
