// From where, and as whom, a cluster is looked at.
import type { Ip } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Protocol } from '../model/object-name.ts'
import type { KernelState } from './kernel-state.ts'

export interface Viewpoint {
  readonly config: ProxyConfig
  /** Nobody has given the configuration: what follows from its defaults alone may be wrong. */
  readonly assumesConfig?: boolean
  /** The node whose rules decide; absent: no particular one. */
  readonly node?: NodeFacts
  /** Who can't reach the Service. */
  readonly client?: Ip
  /** What was tried. */
  readonly tried?: Tried
  readonly kernel?: KernelState
}

/** Without a port: somebody pinged it. */
export interface Tried {
  readonly ip: Ip
  readonly port?: number
  readonly protocol: Protocol
}
