// Endpoints of ns1/svc1 in the conditions that matter, for tests of how endpoints are chosen.
import type { Ip } from '../../src/model/address.ts'
import type { EndpointSlice, SliceEndpoint } from '../../src/model/snapshot.ts'

export const READY = { ready: true, serving: true, terminating: false }
export const LAST_RESORT = { ready: false, serving: true, terminating: true }
export const NOT_READY = { ready: false, serving: true, terminating: false }
export const GONE = { ready: false, serving: false, terminating: true }

export const A = { ip: '10.0.0.1' as Ip, nodeName: 'node2' }
export const B = { ip: '10.0.0.2' as Ip, nodeName: 'node2' }

/** A slice of port p80. */
export function slice(name: string, endpoints: readonly SliceEndpoint[], port = 80): EndpointSlice {
  return {
    namespace: 'ns1',
    name,
    service: 'ns1/svc1',
    family: 'ipv4',
    ports: [{ name: 'p80', protocol: 'tcp', port }],
    endpoints,
  }
}
