// What is wrong in IPVS mode by itself: rules, sets, virtual servers and addresses that do not fit each other, and real
// servers that are no endpoints, where the cluster is known.
import type { IpvsOwners } from '../compare/ipvs-owners.ts'
import { createIpvsOwners, entryOf } from '../compare/ipvs-owners.ts'
import { definitionOf, type IpvsSide, type ServedAddress, servedAddress } from '../compare/ipvs-side.ts'
import { nameGroup } from '../compare/name-group.ts'
import { printRule } from '../iptables/print-rule.ts'
import type { Rule, Ruleset } from '../iptables/rule.ts'
import type { SavedService } from '../ipvs/parse.ts'
import { type BaseSetName, SET_NAMES, setHeader, setName } from '../ipvs/sets.ts'
import type { Ip } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { type Finding, inOrder } from './finding.ts'
import { endpointsOf, type KnownEndpoints } from './lint-balance.ts'

export interface IpvsSurroundings {
  /** The cluster; without it endpoints are not checked. */
  readonly snapshot?: Snapshot
  /** Addresses of the node's other interfaces; absent when they are not known. */
  readonly nodeAddresses?: readonly Ip[]
}

/** Worst first. `side` has the ServicePorts of the cluster when it is known. */
export function lintIpvs(ruleset: Ruleset, side: IpvsSide, surroundings: IpvsSurroundings): readonly Finding[] {
  const owners = createIpvsOwners([side])
  const { snapshot, nodeAddresses } = surroundings
  const own = [...side.servers.values()].flatMap((server) => {
    const at = servedAddress(server)
    const group = owners.ofServer(server)
    return at === undefined || group.kind === 'foreign' ? [] : [{ server, at, owner: nameGroup(group) }]
  })
  const known = snapshot === undefined ? undefined : endpointsOf(snapshot, side.family)
  return inOrder([
    ...(side.knowsSets ? [...lintSetMatches(ruleset, side), ...lintHeaders(side)] : []),
    ...own.flatMap((each) => lintRealServers(each, side, owners, known)),
    ...lintAddresses(own, side, nodeAddresses),
  ])
}

interface OwnServer {
  readonly server: SavedService
  readonly at: ServedAddress
  readonly owner: string
}

/** The kernel can hold no such rule, but a dump can. */
function lintSetMatches({ family, tables }: Ruleset, { sets }: IpvsSide): readonly Finding[] {
  const findings: Finding[] = []
  for (const [table, chains] of tables) {
    for (const [chain, { rules }] of chains) {
      for (const [index, rule] of rules.entries()) {
        const missing = setsIn(rule).find((name) => PROXY_SET.test(name) && !sets.has(name))
        if (missing === undefined) continue
        findings.push({
          severity: 'error',
          kind: 'missing-set',
          family,
          table,
          chain,
          rule: index + 1,
          text: printRule(rule, family),
          message: `looks into set ${missing}, which is not there`,
          advice: 'the kernel can hold no such rule, so the dump is cut or older than the rules: save both again',
        })
      }
    }
  }
  return findings
}

const PROXY_SET = /^KUBE-/

function setsIn({ matches }: Rule): readonly string[] {
  return matches.flatMap((match) => (match.kind === 'set' ? [match.set.value.name] : []))
}

function lintHeaders({ sets, family }: IpvsSide): readonly Finding[] {
  return SET_NAMES.flatMap((base): readonly Finding[] => {
    const name = setName(base, family)
    const set = sets.get(name)
    if (set === undefined) return []
    const { type, family: of } = setHeader(base, family, 0)
    const wanted =
      type === 'bitmap:port' ? `${type} range 0-65535` : `${type} family ${of === 'ipv6' ? 'inet6' : 'inet'}`
    const found = definitionOf(set)
    if (`${found} `.startsWith(`${wanted} `)) return []
    return [
      {
        severity: 'error',
        kind: 'wrong-set',
        family,
        owner: `set ${name}`,
        message: `the set is ${found}, and the proxy needs ${wanted}: its entries can't be added`,
        advice: 'see who made it; without rules that name it, ipset destroy removes it, and the proxy makes it anew',
      },
    ]
  })
}

function lintRealServers(
  { server, at, owner }: OwnServer,
  side: IpvsSide,
  owners: IpvsOwners,
  known: KnownEndpoints | undefined,
): readonly Finding[] {
  const place = { family: side.family, owner, text: `-A ${server.name} ${server.options}` }
  const title = `${at.protocol} ${server.key?.slice(at.protocol.length + 1) ?? server.name}`
  const group = owners.ofServer(server)
  const endpoints = group.kind === 'service' ? known?.get(group.service) : undefined
  const active = server.realServers.filter(({ weight }) => weight > 0)
  if (active.length === 0) {
    const someServe = side.servicePorts.some((port) => isServedBy(port, at) && port.endpoints.reachable.length > 0)
    return [
      {
        severity: someServe ? 'warning' : 'notice',
        kind: 'no-real-servers',
        ...place,
        message: `virtual server ${title} has no real server that takes connections: they are refused`,
        advice: someServe
          ? 'the Service has endpoints that this node may use: check that the proxy runs and its syncs succeed'
          : 'all right while the Service has no endpoint that this node may use',
      },
    ]
  }
  if (known === undefined || group.kind !== 'service') return []
  return active.flatMap(({ name }): readonly Finding[] => {
    const serves = endpoints?.get(name)
    if (serves === true) return []
    if (serves === false) {
      return [
        {
          severity: 'warning',
          kind: 'endpoint-does-not-serve',
          ...place,
          message: `${title}: ${name} is an endpoint that is neither ready nor serving, and gets connections`,
          advice: 'wait for the next sync of the proxy; if it stays, see sluice verify',
        },
      ]
    }
    return [
      {
        severity: 'error',
        kind: 'not-an-endpoint',
        ...place,
        message: `${title}: connections go to ${name}, and it is no endpoint of ${group.service}`,
        advice: 'the kernel is older than the cluster: check that the proxy runs and reaches the API server',
      },
    ]
  })
}

function isServedBy(servicePort: ServicePort, { protocol, address, port }: ServedAddress): boolean {
  if (servicePort.protocol !== protocol) return false
  const { clusterIP, externalIPs, loadBalancerIPs, nodePort } = servicePort
  const isVirtual = [clusterIP, ...externalIPs, ...loadBalancerIPs].includes(address)
  return isVirtual ? servicePort.port === port : nodePort === port
}

/** The kernel takes packets to a virtual server in only when its address is one of the node's own. */
function lintAddresses(
  own: readonly OwnServer[],
  { family, knowsServers, sets, addresses }: IpvsSide,
  nodeAddresses: readonly Ip[] | undefined,
): readonly Finding[] {
  if (addresses === undefined || !knowsServers) return []
  const elsewhere = new Set(nodeAddresses)
  const inSets = (bases: readonly BaseSetName[], at: ServedAddress) =>
    bases.some((base) => sets.get(setName(base, family))?.entries.has(entryOf(at)) === true)
  const unbound = own.filter(({ at }) => {
    if (addresses.has(at.address) || elsewhere.has(at.address)) return false
    // Without the node, only an address that is surely no interface's is told of.
    return nodeAddresses !== undefined || inSets(['KUBE-CLUSTER-IP'], at)
  })
  const served = new Set(own.map(({ at }) => at.address))
  return [
    ...unbound.map(
      ({ server, at, owner }): Finding => ({
        severity: 'error',
        kind: 'unbound-address',
        family,
        owner,
        text: `-A ${server.name} ${server.options}`,
        message: `${at.address} is on no interface of this node, so packets to ${server.key ?? server.name} never reach its virtual server`,
        advice: 'somebody removed the address from kube-ipvs0: the proxy adds it when it next looks',
      }),
    ),
    ...[...addresses]
      .filter((ip) => !served.has(ip))
      .map(
        (ip): Finding => ({
          severity: 'warning',
          kind: 'unused-address',
          family,
          owner: `address ${ip}`,
          message: `kube-ipvs0 has ${ip}, and no virtual server has it: the node keeps what is sent there`,
          advice: 'if no Service has the address, it was left behind: ip address delete it, or let the proxy sync',
        }),
      ),
  ]
}
