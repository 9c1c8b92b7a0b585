// What is other in IPVS mode: who serves where a Local policy finds nobody on this node, and what the kernel has of a
// Service there. Facts: src/ipvs/service.ts; with real traffic: test/second-kernel.
import type { SavedService } from '../ipvs/parse.ts'
import { readVirtualServer } from '../ipvs/parse.ts'
import { virtualServerOptions } from '../ipvs/print.ts'
import { compileIpvsServicePort } from '../ipvs/service.ts'
import { settingsForIpvs } from '../ipvs/settings.ts'
import { realServerKey, type VirtualServer, virtualServerKey } from '../ipvs/virtual-server.ts'
import type { Family } from '../model/address.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Endpoint, ServicePort } from '../model/service-port.ts'
import type { TrafficPolicy } from '../model/snapshot.ts'
import type { Finding } from './finding.ts'
import type { IpvsKernel } from './kernel-state.ts'
import { type Check, onService, type Subject } from './subject.ts'
import { familyName, join } from './words.ts'

export function isIpvs({ view }: Subject): boolean {
  return view.config.mode === 'ipvs'
}

/** The real servers of a virtual server: all endpoints where a Local policy finds none on this node. */
export function ipvsEndpoints({ endpoints }: ServicePort, policy: TrafficPolicy): readonly Endpoint[] {
  return policy === 'Local' && endpoints.local.length > 0 ? endpoints.local : endpoints.cluster
}

/** Compares what the Service comes to on the node with what the kernel has. */
export const virtualServersDiffer: Check = (subject) => {
  const { kernel, node, config } = subject.view
  if (kernel?.ipvs === undefined || node === undefined || config.mode !== 'ipvs') return []
  const { ipvs } = kernel
  return [...kernel.rules.keys()].flatMap((family) => differencesOf(subject, node, ipvs, family))
}

function differencesOf(subject: Subject, node: NodeFacts, kernel: IpvsKernel, family: Family): readonly Finding[] {
  const settings = settingsForIpvs(subject.view.config, node, family)
  const chunks = subject.ports
    .filter((port) => port.family === family)
    .map(({ servicePort }) => compileIpvsServicePort(servicePort, settings))
  const servers = chunks.flatMap(({ virtualServers }) => virtualServers)
  if (servers.length === 0) return []
  const where = subject.view.kernel?.label ?? 'the kernel'
  const missing = servers.filter((server) => !kernel.servers.has(virtualServerKey(server)))
  if (missing.length === servers.length) {
    const means = `There is no ${familyName(family)} virtual server of this Service (${where}).`
    return [onService(subject, 'rules-missing', 'error', undefined, means, SEE_THE_PROXY)]
  }
  const addresses = new Set(chunks.flatMap((chunk) => chunk.addresses))
  const entries = chunks.flatMap((chunk) => chunk.entries)
  const told = [
    ...missing.map((server) => `virtual server ${virtualServerKey(server)} is missing`),
    ...servers.flatMap((server) => compareServer(server, kernel.servers.get(virtualServerKey(server)))),
    ...[...addresses].filter((ip) => kernel.addresses?.has(ip) === false).map((ip) => `kube-ipvs0 lacks ${ip}`),
    ...entries
      .filter(({ set, text }) => kernel.sets !== undefined && kernel.sets.get(set)?.entries.has(text) !== true)
      .map(({ set, text }) => `set ${set} lacks ${text}`),
  ]
  if (told.length === 0) return []
  const means = `${familyName(family)} of ${where} is not what this Service comes to on node ${node.name}: ${join(told)}.`
  const assumed = subject.view.assumesConfig === true
  const advice = assumed ? GIVE_CONFIG : SEE_THE_PROXY
  return [onService(subject, 'rules-differ', assumed ? 'warning' : 'error', undefined, means, advice)]
}

const SEE_THE_PROXY =
  'See that kube-proxy or sluice runs on the node in IPVS mode, and that its last sync succeeded (sluice verify shows more).'
const GIVE_CONFIG =
  "Give --config FILE, the configuration that the node's proxy runs with: without it, its defaults are assumed, and the scheduler may differ for that reason alone."

/** Real servers with weight 0 only finish their connections. */
function compareServer(wanted: VirtualServer, there: SavedService | undefined): readonly string[] {
  if (there === undefined) return []
  const key = virtualServerKey(wanted)
  const known = readVirtualServer(there)
  if (known === undefined) return [`virtual server ${key} has other options`]
  const names = new Set(known.realServers.filter(({ weight }) => weight > 0).map(realServerKey))
  const wantedNames = new Set(wanted.realServers.map(realServerKey))
  const lacking = [...wantedNames].filter((name) => !names.has(name))
  const strange = [...names].filter((name) => !wantedNames.has(name))
  const [options, other] = [virtualServerOptions(known), virtualServerOptions(wanted)]
  return [
    ...(options === other ? [] : [`virtual server ${key} has ${options} instead of ${other}`]),
    ...(lacking.length > 0 ? [`virtual server ${key} lacks ${join(lacking, 3)}`] : []),
    ...(strange.length > 0 ? [`virtual server ${key} has ${join(strange, 3)} too many`] : []),
  ]
}

/** Node ports answer on the node's own addresses, and 127.0.0.1 is none of them: the opposite of iptables mode. */
export const nodePortsNotOnLocalhost: Check = (subject) => {
  if (!isIpvs(subject) || subject.ports.every(({ servicePort }) => servicePort.nodePort === undefined)) return []
  const means =
    'In IPVS mode node ports do not answer on 127.0.0.1, whatever localhostNodePorts says: only on addresses of the node.'
  return [onService(subject, 'node-port-not-on-localhost', 'notice', 'spec.type', means)]
}
