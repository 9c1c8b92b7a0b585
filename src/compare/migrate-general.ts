// What a migration changes for every Service, and what the old mode or proxy leaves behind.
import { measureRules } from './migrate-count.ts'
import type { Migration, MigrationInput } from './migration.ts'

export function forEveryService(to: Migration, inputs: readonly MigrationInput[]): readonly string[] {
  if (to === 'sluice') return []
  const [first] = inputs
  const scheduler = first?.config.ipvs.scheduler === '' ? 'rr' : (first?.config.ipvs.scheduler ?? 'rr')
  const turn = (what: string, ipvs: string, iptables: string) =>
    to === 'ipvs' ? `${what}: until now ${iptables}; then ${ipvs}` : `${what}: until now ${ipvs}; then ${iptables}`
  const hasNodePorts = inputs.some(({ servicePorts }) => servicePorts.some(({ nodePort }) => nodePort !== undefined))
  const hasRanges = inputs.some(({ servicePorts }) => servicePorts.some(({ sourceRanges }) => sourceRanges.length > 0))
  const dropsInvalid = inputs.some(({ settings }) => !settings.tcpBeLiberal)
  return [
    turn('choice of an endpoint', `by IPVS scheduler ${scheduler}`, 'by chance, with an equal share for each'),
    turn(
      'ping of a cluster IP',
      'rejected by the node (KUBE-IPVS-FILTER), whatever the endpoints do',
      'not answered by the proxy',
    ),
    turn(
      'other ports of a cluster IP',
      'rejected by the node',
      'left alone by the proxy, to go wherever the address is routed',
    ),
    turn(
      'endpoints that are removed',
      'kept with weight 0 until their TCP connections end, at once gone for UDP and SCTP',
      'gone for new connections, while conntrack keeps the open ones',
    ),
    ...(dropsInvalid
      ? [
          turn(
            'forwarded packets that conntrack takes for invalid',
            'let through',
            'dropped, so that they reset no connection',
          ),
        ]
      : []),
    ...(hasNodePorts
      ? [
          turn(
            'node ports',
            'served on the addresses that the node had at the last sync',
            'served on any address of the node at once',
          ),
        ]
      : []),
    ...(hasRanges ? ['loadBalancerSourceRanges let in the same clients in both modes'] : []),
  ]
}

export function leftBehind(to: Migration, inputs: readonly MigrationInput[]): readonly string[] {
  switch (to) {
    case 'sluice':
      return [
        'nothing: sluice has the same chains and takes them over; stop kube-proxy first, since two writers undo each other',
      ]
    case 'ipvs': {
      const counts = measureRules(inputs)
      return [
        `${counts.chains} chains of iptables mode stay, their rules too (KUBE-SVC-, KUBE-SEP-, KUBE-EXT-, KUBE-FW-): no proxy removes them when the mode changes`,
        ...(counts.refusals > 0
          ? [
              `${counts.refusals} rules that reject or drop (filter KUBE-SERVICES and KUBE-EXTERNAL-SERVICES) stay in force, also when these Services get endpoints`,
            ]
          : []),
        ...(inputs.some(({ settings }) => settings.localhostNodePorts)
          ? ['sysctl net.ipv4.conf.all.route_localnet stays 1']
          : []),
        'run kube-proxy --cleanup or sluice run --cleanup on the node between the two modes, or restart the node',
      ]
    }
    case 'iptables': {
      const { addresses, servers } = measureRules(inputs)
      return [
        `interface kube-ipvs0 stays with its addresses (${addresses} of Services): they answer for other ports of the Services, and the node takes itself for their owner`,
        `${servers} or more virtual servers, the sets KUBE-* and the chains KUBE-IPVS-FILTER, KUBE-IPVS-OUT-FILTER, KUBE-NODE-PORT, KUBE-LOAD-BALANCER and KUBE-SOURCE-RANGES-FIREWALL stay`,
        'the sysctls net.ipv4.vs.* stay, with strictARP also arp_ignore and arp_announce',
        'run kube-proxy --cleanup on the node between the two modes (it removes all virtual servers, those of others too), or restart the node',
      ]
    }
    default:
      return to satisfies never
  }
}
