// The options of commands, as commander hands them over.
import type { GivenFlags } from '../kube/config/proxy-flags.ts'
import type { Family } from '../model/address.ts'
import type { ProxyMode } from '../model/config.ts'

export interface InputOptions {
  readonly filename: readonly string[]
  readonly kubeconfig?: string
  readonly context?: string
  readonly master?: string
}

export interface ConfigOptions {
  readonly config?: string
  readonly mode?: ProxyMode
  /** kube-proxy's own, as they were given. */
  readonly proxyFlags: GivenFlags
}

export interface NodeOptions {
  readonly node?: string
  readonly allNodes?: true
  /** A path, or `live`. */
  readonly host?: string
  readonly features?: string
}

export type OutputFormat = 'save' | 'restore' | 'json' | 'yaml'

export interface OutputOptions {
  readonly family?: Family
  readonly output: OutputFormat
  readonly out?: string
  /** `namespace/name` */
  readonly service?: string
}

export interface RenderOptions extends InputOptions, ConfigOptions, NodeOptions, OutputOptions {
  readonly keepGoing?: true
}
