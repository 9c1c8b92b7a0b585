// What a node is, beyond Kubernetes: its interfaces and what its kernel can do.
import type { Ip } from './address.ts'

export interface HostFeatures {
  /** Counters can be created and named in rules (kernel module nfnetlink_acct). */
  readonly nfacct: boolean
  /** `MASQUERADE --random-fully` is understood. */
  readonly randomFully: boolean
  /** sysctl net.netfilter.nf_conntrack_tcp_be_liberal was set when the proxy started. */
  readonly tcpBeLiberal: boolean
}

export const ASSUMED_FEATURES: HostFeatures = { nfacct: true, randomFully: true, tcpBeLiberal: false }

export interface Host {
  /** Addresses of all interfaces, both families. */
  readonly addresses: readonly Ip[]
  readonly features: HostFeatures
}

/** The interface that carries the virtual addresses of IPVS mode, here and in kube-proxy. */
export const IPVS_DEVICE = 'kube-ipvs0'
