// The options of commands, as commander hands them over.
import type { GivenFlags } from '../kube/proxy-flags.ts'
import type { Family } from '../model/address.ts'

export interface InputOptions {
  readonly filename: readonly string[]
  readonly kubeconfig?: string
  readonly context?: string
}

export interface NodeOptions {
  readonly node?: string
  readonly allNodes?: true
  /** A path, or `live`. */
  readonly host?: string
  readonly features?: string
}

export type OutputFormat = 'save' | 'restore' | 'json' | 'yaml'

export interface RenderOptions extends InputOptions, NodeOptions {
  readonly config?: string
  readonly family?: Family
  readonly output: OutputFormat
  readonly out?: string
  readonly service?: string
  readonly keepGoing?: true
  /** kube-proxy's own. */
  readonly proxyFlags: GivenFlags
}
