// Understands the match `ipvs` in the form that kube-proxy writes: which virtual server a connection goes through.
import { type Family, familyOfIp, parseIp } from '../model/address.ts'
import { type Option, onlyValue, parseUnsigned } from './match-options.ts'
import type { Match } from './rule.ts'

/** Protocol, address and port, each once and none turned around, in any order; undefined for anything else. */
export function virtualServerMatch(options: readonly Option[], family: Family): Match | undefined {
  if (options.length !== 3 || options.some((option) => option.not)) return undefined
  const valueOf = (flag: string) => {
    const option = options.find((candidate) => candidate.flag === flag)
    return option === undefined ? undefined : onlyValue(option)
  }
  const protocolText = valueOf('--vproto') ?? ''
  const protocol = PROTOCOL_NUMBERS.get(protocolText) ?? parseUnsigned(protocolText)
  const address = parseIp(valueOf('--vaddr') ?? '')
  const port = parseUnsigned(valueOf('--vport') ?? '')
  if (protocol === undefined || protocol > 255 || port === undefined || port > 65_535) return undefined
  return address === undefined || familyOfIp(address) !== family ? undefined : { kind: 'ipvs', protocol, address, port }
}

const PROTOCOL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
])
