// `sluice trace --all NAMESPACE/SERVICE`: from everywhere to every address of one Service.
import { FAMILIES, type Family, familyOfIp, formatEndpoint, type Ip, isLoopback } from '../model/address.ts'
import type { Service } from '../model/snapshot.ts'
import { describeRefusal } from '../packet/describe-refusal.ts'
import { reachesEndpoint } from '../packet/describe-trace.ts'
import type { NodeNetwork } from '../packet/network.ts'
import { exampleSource, ORIGINS, type OriginKind, originAs } from '../packet/origin.ts'
import { DEFAULT_SOURCE_PORT, type Packet } from '../packet/packet.ts'
import { formatShare, isWhole } from '../packet/share.ts'
import type { Trace } from '../packet/trace.ts'
import { describeTrace, TRACE_VERSION } from '../packet/trace-document.ts'
import { Failure } from './failure.ts'
import type { RuleSource } from './rule-source.ts'
import { networkFor, simulatorFor } from './trace-network.ts'
import { findService } from './trace-packet.ts'

export interface Matrix {
  readonly text: string
  readonly document: unknown
  /** Every packet reaches an endpoint. */
  readonly reached: boolean
}

interface MatrixOptions {
  readonly namespace?: string
  readonly host?: string
}

interface Cell {
  readonly from: OriginKind
  readonly target: Target
  readonly trace: Trace
  readonly network: NodeNetwork
}

interface Target {
  /** `cluster IP`, `external IP` ... */
  readonly what: string
  readonly ip: Ip
  readonly port: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
}

/** @throws Failure for an unknown Service, and one without any address. */
export function traceService(named: string, source: RuleSource, options: MatrixOptions): Matrix {
  const service = findService(named, source.snapshot, options.namespace, `--all ${named}`)
  const cells = FAMILIES.filter((family) => source.families.has(family)).flatMap((family) =>
    traceFamily(service, family, source, options),
  )
  if (cells.length === 0) {
    const why =
      service.type === 'ExternalName'
        ? 'it is an ExternalName, which is an entry in DNS and nothing else'
        : 'it has no cluster IP of these families, as a headless Service, or no ports'
    throw new Failure(`--all ${named}: there is no address to trace to: ${why}`)
  }
  return {
    text: printMatrix(cells),
    reached: cells.every(({ trace }) => reachesEndpoint(trace)),
    document: {
      apiVersion: TRACE_VERSION,
      kind: 'TraceMatrix',
      service: `${service.namespace}/${service.name}`,
      traces: cells.map(({ from, target, trace, network }) => ({
        source: from,
        to: target,
        ...describeTrace(trace, network),
      })),
    },
  }
}

function traceFamily(service: Service, family: Family, source: RuleSource, { host }: MatrixOptions): readonly Cell[] {
  const network = networkFor(source, family, host)
  const simulate = simulatorFor(source, family)
  return targetsOf(service, family, network).flatMap((target) =>
    ORIGINS.flatMap((from): readonly Cell[] => {
      const address = exampleSource(network, from, target.ip)
      if (address === undefined) return []
      const packet: Packet = {
        family,
        protocol: target.protocol,
        source: address,
        sourcePort: DEFAULT_SOURCE_PORT,
        destination: target.ip,
        destinationPort: target.port,
      }
      return [{ from, target, network, trace: simulate(packet, originAs(network, from, address), network) }]
    }),
  )
}

function targetsOf(service: Service, family: Family, network: NodeNetwork): readonly Target[] {
  const clusterIP = service.clusterIPs[family]
  if (clusterIP === undefined || service.type === 'ExternalName') return []
  const ofFamily = (ips: readonly Ip[]) => ips.filter((ip) => familyOfIp(ip) === family)
  return service.ports.flatMap(({ port, protocol, nodePort }): readonly Target[] => [
    { what: 'cluster IP', ip: clusterIP, port, protocol },
    ...ofFamily(service.externalIPs).map((ip) => ({ what: 'external IP', ip, port, protocol })),
    ...ofFamily(service.loadBalancerIPs).map((ip) => ({ what: 'load-balancer IP', ip, port, protocol })),
    ...(nodePort === undefined || isLoopback(network.nodeIP)
      ? []
      : [{ what: 'node port', ip: network.nodeIP, port: nodePort, protocol }]),
  ])
}

/** A block for each address, a line for each source. */
function printMatrix(cells: readonly Cell[]): string {
  const lines: string[] = []
  let heading = ''
  for (const { from, target, trace } of cells) {
    const next = `${target.what} ${formatEndpoint(target.ip, target.port)}/${target.protocol}`
    if (next !== heading) lines.push(...(lines.length === 0 ? [] : ['']), next)
    heading = next
    const who = `  ${from.padEnd(10)}  ${trace.packet.source.padEnd(16)}  `
    summarise(trace).forEach((line, index) => void lines.push(`${index === 0 ? who : ' '.repeat(who.length)}${line}`))
  }
  return `${lines.join('\n')}\n`
}

function summarise({ outcomes, packet }: Trace): readonly string[] {
  return outcomes.map(({ outcome, share, assuming }) => {
    const chance = isWhole(share) ? '' : ` ${formatShare(share)}`
    const condition = assuming === undefined ? '' : ` [${assuming.join('; ')}]`
    if (outcome.kind === 'drop' || outcome.kind === 'reject' || outcome.kind === 'taken') {
      return `${outcome.kind}${chance}: ${describeRefusal(outcome, packet)}${condition}`
    }
    const seen = outcome.sourceSeen === packet.source ? 'sees the client' : `sees ${outcome.sourceSeen}`
    if (outcome.kind === 'no match') return `no match${chance}${condition}`
    return `${formatEndpoint(outcome.destination, outcome.destinationPort)}${chance}, ${seen}${condition}`
  })
}
