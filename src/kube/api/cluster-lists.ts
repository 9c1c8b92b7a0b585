// All Services, EndpointSlices and Nodes of a cluster at one moment: every list is read at the resource version of the
// first, so that no change in between is seen half. https://kubernetes.io/docs/reference/using-api/api-concepts/
import type { Issue } from '../../model/issue.ts'
import type { RawObject } from '../manifests/documents.ts'
import { isMapping, type Mapping } from '../manifests/parsed-document.ts'
import { type AskedObjects, ENDPOINT_SLICES, NODES, oneNode, SERVICES } from './asked-objects.ts'
import { type Answer, ClusterError, describeStatus, isTooLarge, statusMessage } from './cluster-error.ts'
import type { Session } from './cluster-session.ts'

export interface ListOptions {
  /** Read only this Node. */
  readonly nodeName?: string
  /** Called after each page, with a text such as `500 services`. */
  readonly onProgress?: (done: string) => void
  /** Also what no rule is made of: headless Services, those of other proxies, and Pods, of all namespaces or of one. */
  readonly beyondRules?: { readonly podNamespace?: string }
}

export interface ClusterLists {
  readonly objects: readonly RawObject[]
  /** Notices about the read itself: that it could not be consistent. */
  readonly issues: readonly Issue[]
  /** Pods were asked for and read, though there may be none. */
  readonly knowsPods: boolean
}

/** @throws ClusterError */
export async function readLists(session: Session, options: ListOptions): Promise<ClusterLists> {
  for (let round = 1; round <= MOST_ROUNDS; round += 1) {
    const lists = await readRound(session, options)
    if (lists !== 'expired') return lists
  }
  throw new ClusterError(
    'changing',
    `${session.server} forgets old versions faster than they can be read (410, ${MOST_ROUNDS} times): try again, over a faster connection`,
  )
}

const PAGE_SIZE = 500
const MOST_ROUNDS = 5

const PODS: AskedObjects = { name: 'pods', path: '/api/v1/pods' }

interface List {
  readonly items: readonly Mapping[]
  readonly resourceVersion: string
}

async function readRound(session: Session, options: ListOptions): Promise<ClusterLists | 'expired'> {
  const services = await readServices(session, options)
  if (services === 'expired') return 'expired'
  const nodes = options.nodeName === undefined ? NODES : oneNode(options.nodeName)
  const lists = [services]
  const slices = options.beyondRules === undefined ? ENDPOINT_SLICES : withoutSelectors(ENDPOINT_SLICES)
  for (const asked of [slices, nodes]) {
    const list = await readAt(session, asked, services.resourceVersion, options)
    if (list === 'expired') return 'expired'
    lists.push(list)
  }
  const at = { source: session.server }
  const pods = await readPods(session, services.resourceVersion, options)
  if (pods === 'expired') return 'expired'
  if (pods !== undefined && !isRefusal(pods)) lists.push(pods)
  const consistent = lists.every((list) => list.resourceVersion === services.resourceVersion)
  return {
    objects: lists.flatMap((list) => list.items.map((value): RawObject => ({ value, at }))),
    issues: [
      ...(consistent ? [] : [{ severity: 'notice' as const, at, message: INCONSISTENT }]),
      ...(pods !== undefined && isRefusal(pods) ? [podsRefused(session, pods)] : []),
    ],
    knowsPods: pods !== undefined && !isRefusal(pods),
  }
}

function withoutSelectors({ name, path }: AskedObjects): AskedObjects {
  return { name, path }
}

/** Undefined when nobody asked; the answer when the server refuses, which is no reason to say nothing about the rest. */
async function readPods(
  session: Session,
  resourceVersion: string,
  options: ListOptions,
): Promise<List | Answer | 'expired' | undefined> {
  if (options.beyondRules === undefined) return undefined
  const { podNamespace } = options.beyondRules
  const path = podNamespace === undefined ? PODS.path : `/api/v1/namespaces/${encodeURIComponent(podNamespace)}/pods`
  const exactly = { resourceVersion, resourceVersionMatch: 'Exact' }
  const list = await readList(session, { ...PODS, path }, exactly, options)
  return isRefusal(list) && refusesVersion(list) ? readList(session, { ...PODS, path }, {}, options) : list
}

function podsRefused(session: Session, answer: Answer): Issue {
  const { message } = refused(session, PODS, answer)
  return { severity: 'notice', at: { source: session.server }, message: `Pods are not looked at: ${message}` }
}

const INCONSISTENT =
  'the server does not serve lists at a given resource version, so they were read one after the other: render again if the cluster was changing meanwhile'

async function readServices(session: Session, options: ListOptions): Promise<List | 'expired'> {
  const asked = options.beyondRules === undefined ? SERVICES : withoutSelectors(SERVICES)
  const list = await readList(session, asked, {}, options)
  if (!isRefusal(list)) return list
  if (list.status !== 400 || statusMessage(list) === undefined) throw refused(session, SERVICES, list)
  const { fieldSelector: _, ...everyService } = SERVICES
  const all = await readList(session, everyService, {}, options)
  if (isRefusal(all)) throw refused(session, SERVICES, all)
  if (all === 'expired') return all
  return { ...all, items: all.items.filter((service) => clusterIP(service) !== 'None') }
}

function clusterIP(service: Mapping): unknown {
  const spec = service['spec']
  return isMapping(spec) ? spec['clusterIP'] : undefined
}

/** Exactly at `resourceVersion`; from a server that can't do that, the newest. */
async function readAt(
  session: Session,
  asked: AskedObjects,
  resourceVersion: string,
  options: ListOptions,
): Promise<List | 'expired'> {
  const exactly = { resourceVersion, resourceVersionMatch: 'Exact' }
  const list = await readList(session, asked, exactly, options)
  if (!isRefusal(list)) return list
  if (!refusesVersion(list)) throw refused(session, asked, list)
  const newest = await readList(session, asked, {}, options)
  if (isRefusal(newest)) throw refused(session, asked, newest)
  return newest
}

/** 400 and 422: the parameters are unknown. The texts: these resources are stored elsewhere, with versions of their own. */
function refusesVersion(answer: Answer): boolean {
  return answer.status === 400 || answer.status === 422 || isTooLarge(answer)
}

function refused(session: Session, asked: AskedObjects, answer: Answer): ClusterError {
  return describeStatus(session.server, `list ${asked.name}`, answer)
}

function isRefusal(result: List | Answer | 'expired'): result is Answer {
  return result !== 'expired' && 'status' in result
}

/** Page by page; the server serves all pages of a list at the version of the first. An answer is one that was not 200. */
async function readList(
  session: Session,
  asked: AskedObjects,
  version: Readonly<Record<string, string>>,
  { onProgress }: ListOptions,
): Promise<List | Answer | 'expired'> {
  const { name, path, labelSelector, fieldSelector } = asked
  const selectors = { ...(labelSelector && { labelSelector }), ...(fieldSelector && { fieldSelector }) }
  const items: Mapping[] = []
  let resourceVersion: string | undefined
  // A continue token carries the version; the API refuses both together.
  let place: Readonly<Record<string, string>> = version
  for (;;) {
    const query = new URLSearchParams({ ...selectors, limit: String(PAGE_SIZE), ...place })
    const answer = await session.get(`${path}?${query.toString()}`)
    if (answer.status === 410) return 'expired'
    if (answer.status !== 200) {
      // A refusal in the middle is not about the selectors or the version, which the first page accepted.
      if (resourceVersion === undefined) return answer
      throw refused(session, asked, answer)
    }
    const page = decodePage(session.server, asked, answer.body)
    for (const item of page.items) items.push(item)
    resourceVersion ??= page.resourceVersion
    onProgress?.(`${items.length} ${name}`)
    if (page.next === '') return { items, resourceVersion }
    if (page.next === place['continue']) throw notAList(session.server, asked, 'its pages never end')
    place = { continue: page.next }
  }
}

interface Page extends List {
  /** The continue token, empty on the last page. */
  readonly next: string
}

function decodePage(server: string, asked: AskedObjects, body: string): Page {
  let list: unknown
  try {
    list = JSON.parse(body)
  } catch {
    throw notAList(server, asked, 'the answer is not JSON')
  }
  if (!isMapping(list)) throw notAList(server, asked, 'the answer is not an object')
  const { kind, apiVersion, metadata, items } = list
  if (typeof kind !== 'string' || !kind.endsWith('List') || typeof apiVersion !== 'string' || !isMapping(metadata)) {
    throw notAList(server, asked, 'the answer is not a list')
  }
  const { resourceVersion, continue: next } = metadata
  if (typeof resourceVersion !== 'string') throw notAList(server, asked, 'the list has no resourceVersion')
  const itemKind = kind.slice(0, -'List'.length)
  // Go prints an empty list as null in places.
  const values = (Array.isArray(items) ? items : []).filter((item) => isMapping(item))
  return {
    resourceVersion,
    next: typeof next === 'string' ? next : '',
    items: values.map((value) => completeItem(value, itemKind, apiVersion)),
  }
}

/** Items of a list do not say what they are. Their managedFields, about a third of each, are read by nobody here. */
function completeItem(value: Mapping, kind: string, apiVersion: string): Mapping {
  if (isMapping(value['metadata'])) delete value['metadata']['managedFields']
  return { kind, apiVersion, ...value }
}

function notAList(server: string, asked: AskedObjects, reason: string): ClusterError {
  return new ClusterError(
    'server',
    `${server}${asked.path} is not a Kubernetes list: ${reason}; check that it is the URL of an API server`,
  )
}
