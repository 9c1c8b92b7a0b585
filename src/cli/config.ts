// The configuration that a command works with: --config or kube-proxy's flags.
import { type GivenFlags, resolveProxyConfig } from '../kube/proxy-flags.ts'
import type { ProxyConfig } from '../model/config.ts'
import { formatIssue, type Issue } from '../model/issue.ts'
import { Failure } from './failure.ts'
import { readText } from './read-text.ts'

export interface ReadConfig {
  readonly config: ProxyConfig
  readonly issues: readonly Issue[]
}

/** @throws Failure when the configuration is invalid, or asks for a mode that is not served. */
export function readConfig(path: string | undefined, flags: GivenFlags): ReadConfig {
  const file = path === undefined ? {} : { configText: readText(path, '--config'), configSource: path }
  const { config, issues } = resolveProxyConfig({ ...file, flags })
  if (config === undefined) throw new Failure(issues.map(formatIssue).join('\n'))
  if (config.mode !== 'iptables') {
    throw new Failure(`mode ${config.mode} is valid for kube-proxy and not served by sluice: use mode iptables`)
  }
  return { config, issues }
}
