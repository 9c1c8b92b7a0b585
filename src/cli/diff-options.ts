// The options of `sluice diff`, as commander hands them over.
import type { ProxyMode } from '../model/config.ts'
import type { RuleSourceOptions } from './rule-source.ts'

export interface DiffOptions extends RuleSourceOptions {
  readonly semantic?: true
  readonly namespace?: string
  /** `namespace/name` */
  readonly service?: readonly string[]
  readonly migrate?: 'iptables' | 'ipvs' | 'sluice'
  readonly output: 'text' | 'json'
  readonly nodeA?: string
  readonly nodeB?: string
  readonly configA?: string
  readonly configB?: string
  readonly modeA?: ProxyMode
  readonly modeB?: ProxyMode
  readonly hostA?: string
  readonly hostB?: string
  readonly kubeconfigA?: string
  readonly kubeconfigB?: string
  readonly contextA?: string
  readonly contextB?: string
}

export type SideName = 'A' | 'B'

/** The options of one side: its own before those of both. */
export function optionsOfSide(options: DiffOptions, side: SideName): RuleSourceOptions {
  const pick = <T>(both: T | undefined, a: T | undefined, b: T | undefined) => (side === 'A' ? a : b) ?? both
  const { node, config, mode, host, kubeconfig, context } = options
  const own = {
    node: pick(node, options.nodeA, options.nodeB),
    config: pick(config, options.configA, options.configB),
    mode: pick(mode, options.modeA, options.modeB),
    host: pick(host, options.hostA, options.hostB),
    kubeconfig: pick(kubeconfig, options.kubeconfigA, options.kubeconfigB),
    context: pick(context, options.contextA, options.contextB),
  }
  const { master, features, family, proxyFlags } = options
  return {
    filename: [],
    proxyFlags,
    ...(master !== undefined && { master }),
    ...(features !== undefined && { features }),
    ...(family !== undefined && { family }),
    ...(own.node !== undefined && { node: own.node }),
    ...(own.config !== undefined && { config: own.config }),
    ...(own.mode !== undefined && { mode: own.mode }),
    ...(own.host !== undefined && { host: own.host }),
    ...(own.kubeconfig !== undefined && { kubeconfig: own.kubeconfig }),
    ...(own.context !== undefined && { context: own.context }),
  }
}

/** Whether some option is for side B alone. */
export function hasOwnB(options: DiffOptions): boolean {
  const { nodeB, configB, modeB, hostB, kubeconfigB, contextB } = options
  return [nodeB, configB, modeB, hostB, kubeconfigB, contextB].some((value) => value !== undefined)
}
