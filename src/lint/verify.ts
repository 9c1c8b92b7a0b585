// The kernel against the cluster: what is missing, left over or changed, by Service, and what of it changes traffic.
import { compareRules, type GroupDifference } from '../compare/compare.ts'
import { nameGroup } from '../compare/name-group.ts'
import type { RuleText } from '../compare/rule-text.ts'
import { explainDifferences } from '../compare/semantic.ts'
import { formatEndpoint, type Ip } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Finding } from './finding.ts'

export type VerifyKind = 'missing-rules' | 'extra-rules' | 'changed-rules' | 'other-form' | 'service-address-on-node'

export interface VerifyFinding extends Finding<VerifyKind> {
  /** `ns1/svc1` */
  readonly service?: string
  /** What a sync would change, in words. */
  readonly details?: readonly string[]
}

/** `actual` is what the kernel has, `desired` what the cluster asks for; of one family. */
export function verifyRules(actual: RuleText, desired: RuleText): readonly VerifyFinding[] {
  const differences = compareRules(actual, desired, { foreign: false })
  const explained = explainDifferences(actual, desired, differences)
  const findings = differences.map((difference): VerifyFinding => {
    const key = nameGroup(difference.group)
    const details = explained.find(({ group }) => nameGroup(group) === key)?.statements ?? []
    return describe(difference, details, actual.family)
  })
  const told = new Set(differences.map(({ group }) => nameGroup(group)))
  const orders = explained.filter(({ group }) => !told.has(nameGroup(group)))
  return [
    ...findings,
    ...orders.map(({ group, statements }): VerifyFinding => {
      const difference = { group, chains: [] }
      return { ...describe(difference, statements, actual.family), severity: 'warning', kind: 'changed-rules' }
    }),
  ]
}

function describe(
  { group, chains }: GroupDifference,
  details: readonly string[],
  family: RuleText['family'],
): VerifyFinding {
  let missing = 0
  let extra = 0
  for (const { before, after } of chains) {
    missing += countMore(after, before)
    extra += countMore(before, after)
  }
  const base = {
    family,
    ...(group.kind === 'service' && { service: group.service }),
    owner: nameGroup(group),
    ...(details.length > 0 && { details: details.map((text) => `to be right: ${text}`) }),
  }
  const figures = [missing > 0 && `${missing} missing`, extra > 0 && `${extra} too many`].filter(Boolean).join(', ')
  if (details.length === 0) {
    // Chains that nothing leads to, and rules in another form.
    const only = extra > 0 && missing === 0 ? 'extra-rules' : 'other-form'
    const message =
      figures === ''
        ? 'an empty chain is missing or too many, without effect'
        : `rules differ (${figures}), without effect on traffic`
    return {
      severity: 'notice',
      kind: only,
      ...base,
      message,
      advice: 'nothing needs to be done; a full sync tidies up',
    }
  }
  const wholly = chains.every(({ change }) => change === 'added')
    ? 'missing'
    : chains.every(({ change }) => change === 'removed')
      ? 'extra'
      : 'changed'
  if (wholly === 'extra') {
    return {
      severity: 'warning',
      kind: 'extra-rules',
      ...base,
      message: `the kernel has rules that the cluster does not ask for (${figures})`,
      advice: 'the Service is gone or not for this node: check that the proxy runs and reaches the API server',
    }
  }
  return {
    severity: 'error',
    kind: wholly === 'missing' ? 'missing-rules' : 'changed-rules',
    ...base,
    message: `the kernel does not do what the cluster asks for (rules: ${figures === '' ? 'another order' : figures})`,
    advice: 'check that the proxy runs, that its syncs succeed, and that nobody else writes its chains',
  }
}

/** How many of `texts` are not in `others`, each as often as it stands there. */
function countMore(texts: readonly string[], others: readonly string[]): number {
  const left = new Map<string, number>()
  for (const text of others) left.set(text, (left.get(text) ?? 0) + 1)
  let more = 0
  for (const text of texts) {
    const there = left.get(text) ?? 0
    if (there === 0) more += 1
    else left.set(text, there - 1)
  }
  return more
}

/** Cluster IPs that an interface of the node has: IPVS mode binds them, and they stay when the mode is left. */
export function findBoundAddresses(
  servicePorts: readonly ServicePort[],
  nodeAddresses: readonly Ip[],
): readonly VerifyFinding[] {
  const bound = new Set(nodeAddresses)
  const told = new Set<Ip>()
  const findings: VerifyFinding[] = []
  for (const { name, service, clusterIP, port, family } of servicePorts) {
    if (!bound.has(clusterIP) || told.has(clusterIP)) continue
    told.add(clusterIP)
    findings.push({
      severity: 'warning',
      kind: 'service-address-on-node',
      family,
      service,
      owner: name,
      message: `cluster IP ${clusterIP} is an address of this node: ports other than ${formatEndpoint(clusterIP, port)} reach the node itself`,
      advice: 'IPVS mode leaves kube-ipvs0 behind: remove the interface with ip link delete kube-ipvs0',
    })
  }
  return findings
}
