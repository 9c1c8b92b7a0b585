// Chain names that carry a hash, and the fixed ones. Operators grep for them, so they are kube-proxy's.
import { hash } from 'node:crypto'
import type { ServicePort } from '../model/service-port.ts'
import type { ChainName } from './rule.ts'

export const SERVICES = 'KUBE-SERVICES'
export const EXTERNAL_SERVICES = 'KUBE-EXTERNAL-SERVICES'
export const NODE_PORTS = 'KUBE-NODEPORTS'
export const POSTROUTING = 'KUBE-POSTROUTING'
export const MARK_MASQ = 'KUBE-MARK-MASQ'
export const FORWARD = 'KUBE-FORWARD'
export const PROXY_FIREWALL = 'KUBE-PROXY-FIREWALL'
export const FIREWALL = 'KUBE-FIREWALL'
export const CANARY = 'KUBE-PROXY-CANARY'

/** Counters of nfacct. */
export const INVALID_DROPPED_COUNTER = 'ct_state_invalid_dropped_pkts'
export const LOCALHOST_NODE_PORTS_COUNTER = 'localhost_nps_accepted_pkts'

/** The chains of one ServicePort; they share the hash. */
export interface ServiceChains {
  /** Balances over endpoints anywhere. */
  readonly cluster: ChainName
  /** Balances over endpoints of this node. */
  readonly local: ChainName
  /** Handles traffic from outside. */
  readonly external: ChainName
  /** Lets source ranges in. */
  readonly firewall: ChainName
}

export function nameServiceChains(servicePort: ServicePort): ServiceChains {
  const suffix = hashName(servicePort.name + servicePort.protocol)
  return {
    cluster: `KUBE-SVC-${suffix}`,
    local: `KUBE-SVL-${suffix}`,
    external: `KUBE-EXT-${suffix}`,
    firewall: `KUBE-FW-${suffix}`,
  }
}

/** `endpoint` is `ip:port`, IPv6 in brackets. */
export function nameEndpointChain(servicePort: ServicePort, endpoint: string): ChainName {
  return `KUBE-SEP-${hashName(servicePort.name + servicePort.protocol + endpoint)}`
}

/** Whether a chain belongs to one Service, here or in kube-proxy. */
export function isServiceChain(chain: ChainName): boolean {
  return /^KUBE-(?:SVC|SVL|SEP|FW|EXT)-/.test(chain)
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const BASE64_VALUE = new Uint8Array(128)
for (let value = 0; value < 64; value += 1) BASE64_VALUE[BASE64.charCodeAt(value)] = value

/**
 * The first 16 characters of RFC 4648 base32 over SHA-256. Read from base64, the form in which Node gives digests fastest:
 * 5 characters of it are 30 bits, and these are 6 characters of base32.
 */
function hashName(text: string): string {
  const digest = hash('sha256', text, 'base64')
  return thirtyBits(digest, 0, 6) + thirtyBits(digest, 5, 6) + thirtyBits(digest, 10, 4)
}

function thirtyBits(base64: string, from: number, characters: number): string {
  let bits = 0
  for (let at = from; at < from + 5; at += 1) bits = (bits << 6) | (BASE64_VALUE[base64.charCodeAt(at)] ?? 0)
  let name = ''
  for (let shift = 25; shift > 25 - 5 * characters; shift -= 5) name += BASE32.charAt((bits >>> shift) & 31)
  return name
}
