// Reads bodies of KubeProxyConfiguration files for tests.
import { expect } from 'vitest'
import { type DecodedProxyConfig, decodeProxyConfig } from '../../src/kube/config/proxy-config.ts'
import type { ProxyConfig } from '../../src/model/config.ts'
import { formatIssue } from '../../src/model/issue.ts'

/** Two lines, so a body starts at line 3. */
export const HEADER = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'

export function decode(body: string): DecodedProxyConfig {
  return decodeProxyConfig(HEADER + body, 'config.yaml')
}

/** The configuration of a body that has no issue at all. */
export function accept(body: string): ProxyConfig {
  const { config, issues } = decode(body)
  expect(issues.map(formatIssue)).toEqual([])
  if (config === undefined) throw new Error('no configuration and no issue')
  return config
}
