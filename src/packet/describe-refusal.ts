// Why a packet goes no further, in plain words with the name of the Service.
import { formatEndpoint } from '../model/address.ts'
import type { Packet } from './packet.ts'
import type { Outcome } from './trace.ts'

export type RefusedOutcome = Extract<Outcome, { kind: 'drop' | 'reject' | 'taken' }>

/** Without the verdict itself: `shop/web:http has no endpoints; the client is told icmp-port-unreachable`. */
export function describeRefusal(outcome: RefusedOutcome, packet: Packet): string {
  if (outcome.kind === 'taken') {
    const { place, by } = outcome
    return place.table === 'ipvs' ? outcome.because : `${by} in ${place.table} ${place.chain} decides by itself`
  }
  const told = outcome.kind === 'reject' ? `; the client is told ${outcome.with}` : ''
  return `${describeReason(outcome, packet)}${told}`
}

function describeReason(outcome: Exclude<RefusedOutcome, { kind: 'taken' }>, packet: Packet): string {
  const { place, because, service, reason, rule } = outcome
  const where = `${place.table} ${place.chain}`
  switch (reason) {
    case 'policy':
      return `the policy of ${where} is DROP`
    case 'source-ranges': {
      const who = place.chain === 'KUBE-IPVS-OUT-FILTER' ? 'this node' : packet.source
      return `${who} is in none of the loadBalancerSourceRanges of ${serviceName(service, packet)}`
    }
    case 'no-endpoints':
      return service === undefined ? because : `${service} has no endpoints`
    case 'no-local-endpoints': {
      const policy = isInternal(outcome) ? 'internalTrafficPolicy' : 'externalTrafficPolicy'
      return `${policy} is Local and no endpoint of ${serviceName(service, packet)} is on this node`
    }
    case 'no-such-port':
    case 'marked':
      return because
    case 'localnet':
      return `${packet.destination} is asked for from outside of this node, and route_localnet is guarded`
    case 'invalid-state':
      return `${where} refuses what is in state INVALID, and before conntrack every packet is`
    case undefined:
      if (rule === undefined) return because
      return `by a rule of ${where}${service === undefined ? '' : ` for ${service}`}: ${rule}`
    default:
      return reason satisfies never
  }
}

/** IPVS refuses for want of a local endpoint at cluster IPs only: elsewhere it goes on to other nodes. */
function isInternal({ place }: RefusedOutcome): boolean {
  return place.table === 'ipvs' || (place.table === 'filter' && place.chain === 'KUBE-SERVICES')
}

/** `ns/name` of `ns/name:port`; without it the address stands for the Service. */
function serviceName(service: string | undefined, { destination, destinationPort }: Packet): string {
  return service?.split(':', 1)[0] ?? `the Service at ${formatEndpoint(destination, destinationPort)}`
}
