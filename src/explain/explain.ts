// All that can be said about one Service: a header that sums it up, and what was found, the most needed first.
import { conflicts, externalIPs, nodePortAddresses } from './addresses.ts'
import { type ClientPath, clientFamily, clientPaths, clientUnserved } from './client-paths.ts'
import type { Cluster } from './cluster.ts'
import {
  endpointIsService,
  noEndpoints,
  noneReady,
  onlyTerminating,
  slicePortMismatch,
  slicesDifferFromPods,
  someNotReady,
} from './endpoints.ts'
import { type Finding, orderFindings } from './finding.ts'
import { type Header, summariseService } from './header.ts'
import { nodePortsNotOnLocalhost, virtualServersDiffer } from './ipvs.ts'
import { conntrackFull, mtuMismatch, rulesDiffer } from './kernel.ts'
import { notReadyPublished, podsEnded, podsNotServing, podsTerminating, selectorMatchesNone } from './pods.ts'
import {
  affinity,
  endpointsWithoutNode,
  externalLocal,
  externalPolicyIgnored,
  hintsIgnored,
  internalLocal,
  noHealthCheckPort,
  sourceHidden,
} from './policies.ts'
import {
  leftoverNodePort,
  namedTargetDiffers,
  namedTargetMissing,
  nodePortOutOfRange,
  numberedTargetUndeclared,
} from './ports.ts'
import { noLocalDetector, otherMode, otherProxy } from './proxy.ts'
import { clientExcluded, rangesAnnotation, rangesUnreadable, sourceRanges } from './ranges.ts'
import {
  beingDeleted,
  clashingPorts,
  externalName,
  headless,
  ingressElsewhere,
  loadBalancerPending,
  namelessPorts,
  noClusterIP,
  noPorts,
  noSelector,
  unreadable,
} from './service.ts'
import type { ServiceObject } from './service-object.ts'
import { type Check, describeSubject } from './subject.ts'
import { triedDestination } from './tried.ts'
import type { Viewpoint } from './viewpoint.ts'

export interface Explanation {
  readonly header: Header
  /** What becomes of the client's connections; absent when no client was named. */
  readonly client?: { readonly ip: string; readonly title: string; readonly paths: readonly ClientPath[] }
  readonly findings: readonly Finding[]
}

/** From causes to effects: of two findings of one severity, the cause is what a person needs first. */
const CHECKS: readonly Check[] = [
  otherProxy,
  triedDestination,
  clientFamily,
  unreadable,
  externalName,
  noClusterIP,
  noPorts,
  clashingPorts,
  namelessPorts,
  selectorMatchesNone,
  noSelector,
  podsEnded,
  podsNotServing,
  podsTerminating,
  headless,
  namedTargetMissing,
  slicePortMismatch,
  endpointIsService,
  slicesDifferFromPods,
  noneReady,
  noEndpoints,
  conflicts,
  externalIPs,
  ingressElsewhere,
  nodePortAddresses,
  clientExcluded,
  clientUnserved,
  internalLocal,
  externalLocal,
  rangesUnreadable,
  sourceRanges,
  rangesAnnotation,
  rulesDiffer,
  virtualServersDiffer,
  otherMode,
  beingDeleted,
  numberedTargetUndeclared,
  onlyTerminating,
  someNotReady,
  notReadyPublished,
  endpointsWithoutNode,
  noHealthCheckPort,
  loadBalancerPending,
  hintsIgnored,
  noLocalDetector,
  affinity,
  externalPolicyIgnored,
  sourceHidden,
  nodePortsNotOnLocalhost,
  namedTargetDiffers,
  nodePortOutOfRange,
  leftoverNodePort,
]

/** What a whole node suffers from, whatever the Service. */
const NODE_CHECKS: readonly Check[] = [conntrackFull, mtuMismatch]

/** Everything about one Service, seen from one place. */
export function explainService(service: ServiceObject, cluster: Cluster, view: Viewpoint): Explanation {
  const subject = describeSubject(service, cluster, view)
  const { client } = subject
  const found = [...CHECKS, ...NODE_CHECKS].flatMap((check) => check(subject))
  return {
    header: summariseService(subject),
    ...(client && { client: { ip: client.ip, title: client.title, paths: clientPaths(subject, client) } }),
    findings: orderFindings(found),
  }
}

/** What is wrong with the node by itself; once, where many Services are explained. */
export function explainNode(cluster: Cluster, view: Viewpoint): readonly Finding[] {
  const [any] = cluster.services
  if (any === undefined) return []
  const subject = describeSubject(any, cluster, view)
  return orderFindings(NODE_CHECKS.flatMap((check) => check(subject)))
}

/** As explainService, without what is wrong with the node by itself. */
export function explainAmongOthers(service: ServiceObject, cluster: Cluster, view: Viewpoint): Explanation {
  const subject = describeSubject(service, cluster, view)
  return { header: summariseService(subject), findings: orderFindings(CHECKS.flatMap((check) => check(subject))) }
}
