// How an API server answers a list: pages, continue tokens, resourceVersion and resourceVersionMatch, as recorded in
// test/data/recordings and as https://kubernetes.io/docs/reference/using-api/api-concepts/ has it.
import { type ApiStore, type Resource, SELECTABLE, splitTerm, terms } from './api-store.ts'

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

export interface ListAbilities {
  /** Off: a server older than resourceVersionMatch, which passes over it and over the version, as if both were unknown. */
  readonly exact: boolean
  /** Off: a server that refuses field selectors other than by name. */
  readonly fieldSelectors: boolean
}

export function list(store: ApiStore, resource: Resource, query: URLSearchParams, abilities: ListAbilities): Reply {
  const selectors = { labels: query.get('labelSelector') ?? '', fields: query.get('fieldSelector') ?? '' }
  const refusal = refuseSelector(resource, query, abilities)
  if (refusal !== undefined) return refusal

  const start = startOf(store, query, abilities)
  if ('status' in start) return start
  const { resourceVersion, after } = start
  const rest = store.list(resource.name, resourceVersion, selectors).filter(([key]) => key > after)
  // From the watch cache (resourceVersion=0) lists come whole.
  const limit = query.get('resourceVersion') === '0' ? 0 : Number(query.get('limit') ?? 0)
  const page = limit > 0 ? rest.slice(0, limit) : rest
  const remaining = rest.length - page.length
  const last = page.at(-1)
  const metadata = {
    resourceVersion: String(resourceVersion),
    ...(remaining > 0 && last && { continue: encodeContinue(resourceVersion, last[0], after === '') }),
    // Counted only without selectors.
    ...(remaining > 0 && selectors.labels === '' && selectors.fields === '' && { remainingItemCount: remaining }),
  }
  const items = page.map(([, object]) => object)
  return json(200, { kind: `${resource.kind}List`, apiVersion: resource.apiVersion, metadata, items })
}

/** What is answered to a list or watch with a field selector that the server does not have. */
export function refuseSelector(
  resource: Resource,
  query: URLSearchParams,
  abilities: ListAbilities,
): Reply | undefined {
  const unknown = terms(query.get('fieldSelector') ?? '')
    .map((term) => splitTerm(term).name)
    .find((name) => !isSelectable(resource, name, abilities))
  return unknown === undefined ? undefined : status(400, 'BadRequest', `field label not supported: ${unknown}`)
}

function isSelectable(resource: Resource, name: string, abilities: ListAbilities): boolean {
  if (!abilities.fieldSelectors) return name === 'metadata.name'
  return SELECTABLE[resource.name]?.includes(name) === true
}

interface Start {
  readonly resourceVersion: number
  /** The key that the page before ended with; empty for the first page. */
  readonly after: string
}

function startOf(store: ApiStore, query: URLSearchParams, abilities: ListAbilities): Start | Reply {
  const token = query.get('continue') ?? ''
  const version = query.get('resourceVersion') ?? ''
  const match = query.get('resourceVersionMatch') ?? ''
  const newest = { resourceVersion: store.resourceVersion, after: '' }
  if (!abilities.exact && token === '') return newest
  if (match !== '' && (token !== '' || version === '')) {
    const reason = token === '' ? 'unless resourceVersion is provided' : 'when continue is provided'
    return invalidMatch(`resourceVersionMatch is forbidden ${reason}`)
  }
  if (token !== '') return continueFrom(store, token, version)
  if (!/^\d*$/.test(version)) return status(400, 'BadRequest', `resourceVersion: Invalid value: "${version}"`)
  if (match === 'Exact' && version === '0') {
    return invalidMatch('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
  }
  if (version === '' || version === '0') return newest
  // Before resourceVersionMatch, a limit with a version meant exactly that version; it still does.
  const exact = match === 'Exact' || (match === '' && query.has('limit'))
  if (Number(version) > store.resourceVersion) return tooLarge(Number(version), store.resourceVersion, exact)
  if (!exact) return newest
  if (Number(version) < store.oldest) return expired('The resourceVersion for the provided list is too old.')
  return { resourceVersion: Number(version), after: '' }
}

function continueFrom(store: ApiStore, token: string, version: string): Start | Reply {
  if (version !== '' && version !== '0') {
    return status(400, 'BadRequest', 'specifying resource version is not allowed when using continue')
  }
  let decoded: { readonly rv: number; readonly start: string }
  try {
    decoded = JSON.parse(Buffer.from(token, 'base64url').toString()) as typeof decoded
  } catch (error) {
    return status(400, 'BadRequest', `invalid continue token: continue key is not valid: ${(error as Error).message}`)
  }
  if (decoded.rv < store.oldest) return expired('The provided continue parameter is too old')
  return { resourceVersion: decoded.rv, after: decoded.start.replace(/^\//, '').replace(/\0$/, '') }
}

/** As recorded: pages after the first write their key with a slash in front. */
function encodeContinue(resourceVersion: number, key: string, isFirst: boolean): string {
  const token = { v: 'meta.k8s.io/v1', rv: resourceVersion, start: `${isFirst ? '' : '/'}${key}\0` }
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

export function expired(message: string): Reply {
  return status(410, 'Expired', message)
}

function invalidMatch(message: string): Reply {
  return status(422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: ${message}`)
}

function tooLarge(version: number, current: number, exact: boolean): Reply {
  if (exact) return status(500, 'InternalError', 'etcdserver: mvcc: required revision is a future revision')
  return status(504, 'Timeout', `Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}

export function status(code: number, reason: string, message: string, details?: object): Reply {
  return json(code, statusObject(code, reason, message, details))
}

export function statusObject(code: number, reason: string, message: string, details?: object): object {
  const head = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason }
  return { ...head, ...(details && { details }), code }
}

export function json(code: number, value: object): Reply {
  return { status: code, body: `${JSON.stringify(value)}\n` }
}
