// What verify looks at on this machine beside its rules: the connection table and kernel settings.
import { release } from 'node:os'
import { startHands } from '../host/hands-client.ts'
import { countCpus, readSysctls } from '../host/sysctl-files.ts'
import { settingsFor } from '../iptables/settings.ts'
import type { Finding } from '../lint/finding.ts'
import { formatEndpoint } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { ServicePort } from '../model/service-port.ts'
import { staleFlows } from '../sync/conntrack.ts'
import { IPVS_SYSCTL_PATHS, planIpvsSysctls } from '../sync/ipvs/kernel-settings.ts'
import { planSysctls, SYSCTL_PATHS } from '../sync/sysctl.ts'
import type { Terminal } from './terminal.ts'

export type LiveKind = 'sysctl' | 'stale-flow'

/** Settings that differ from what the configuration asks for. */
export async function verifySysctls(config: ProxyConfig, node: NodeFacts): Promise<readonly Finding<LiveKind>[]> {
  const isIpvs = config.mode === 'ipvs'
  const { localhostNodePorts } = settingsFor(config, node, 'ipv4')
  const values = await readSysctls([...SYSCTL_PATHS, ...(isIpvs ? IPVS_SYSCTL_PATHS : [])])
  const cpus = await countCpus()
  const needs = { conntrack: config.conntrack, cpus, localhostNodePorts: localhostNodePorts && !isIpvs }
  const ipvsNeeds = { strictARP: config.ipvs.strictARP, kernelRelease: release() }
  const steps = [...planSysctls(needs, values), ...(isIpvs ? planIpvsSysctls(ipvsNeeds, values) : [])]
  return steps.map(({ path, value, why }) => ({
    severity: /route_localnet|\/vs\/conntrack|ip_forward/.test(path) ? 'error' : 'warning',
    kind: 'sysctl',
    message: `${path} is ${values.get(path) ?? 'not readable'}, and ${why} asks for ${value}`,
    advice: 'a proxy sets it when it starts: look into its log, or set it yourself',
  }))
}

/** Flows of UDP that go to endpoints that no longer serve them. Empty, and said so, where the kernel does not answer. */
export async function verifyFlows(
  servicePorts: readonly ServicePort[],
  terminal: Terminal,
): Promise<readonly Finding<LiveKind>[]> {
  const first = servicePorts.find(({ protocol }) => protocol === 'udp')
  if (first === undefined) return []
  const hands = await startHands()
  try {
    const flows = await hands.dumpConntrack(first.family)
    return staleFlows([], servicePorts, flows).map(({ original, reply }) => ({
      severity: 'error',
      kind: 'stale-flow',
      family: first.family,
      message: `UDP from ${formatEndpoint(original.source, original.sourcePort)} to ${formatEndpoint(original.destination, original.destinationPort)} still goes to ${formatEndpoint(reply.source, reply.sourcePort)}, which does not serve it any more`,
      advice: 'the proxy removes such entries after a change; by hand: conntrack -D -p udp with these addresses',
    }))
  } catch (error) {
    terminal.say(`connection table not checked: ${error instanceof Error ? error.message : String(error)}`)
    return []
  } finally {
    await hands.close()
  }
}
