// Checks of the proxy: is this Service its business, and does it know where packets come from.
import { localDetector } from '../resolve/node-facts.ts'
import type { Finding } from './finding.ts'
import { PROXY_NAME_LABEL } from './service-object.ts'
import { type Check, isServed, onService } from './subject.ts'
import { familyName, join } from './words.ts'

export const otherProxy: Check = (subject) => {
  const { otherProxy: name } = subject.written
  if (name === undefined) return []
  const means = `The label leaves the Service to another proxy (${name === '' ? 'empty name' : name}): kube-proxy and sluice make no rules for it.`
  const advice = `See that this proxy runs on every node, or remove the label ${PROXY_NAME_LABEL}.`
  return [onService(subject, 'other-proxy', 'warning', `metadata.labels[${PROXY_NAME_LABEL}]`, means, advice)]
}

/** Without a detector nothing is masqueraded on the way to cluster IPs, and Pods count as clients from outside. */
export const noLocalDetector: Check = (subject) => {
  const { config, node, assumesConfig } = subject.view
  if (node === undefined || assumesConfig === true || !isServed(subject)) return []
  const families = [...new Set(subject.ports.map(({ family }) => family))]
  const blind = families.filter((family) => localDetector(config, node, family) === undefined)
  const local = subject.ports.some(
    ({ servicePort }) => servicePort.externalPolicy === 'Local' && servicePort.external.kind === 'drop',
  )
  if (blind.length === 0) return []
  const lost = local ? ", and its external addresses treat this node's Pods as clients from outside" : ''
  const found: Finding = {
    severity: local ? 'warning' : 'notice',
    check: 'no-local-detector',
    at: { object: `node ${node.name}`, field: 'detectLocalMode' },
    means: `The proxy can not tell this node's Pods from others (${join(blind.map(familyName))}): clients outside that use a cluster IP are not masqueraded${lost}.`,
    advice: "Set clusterCIDR to the Pods' network (or another detectLocalMode) in kube-proxy's configuration.",
  }
  return [found]
}

export const otherMode: Check = (subject) => {
  const { config, node, kernel } = subject.view
  if (kernel === undefined || kernel.mode === config.mode || node === undefined) return []
  return [
    {
      severity: 'warning',
      check: 'other-mode',
      at: { object: `node ${node.name}`, field: 'mode' },
      means: `The rules of ${kernel.label} were made in ${kernel.mode} mode, and the configuration says ${config.mode}.`,
      advice: 'Give the --config that the node runs with.',
    },
  ]
}
