// One line of a watch: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes

import { isMapping } from '../manifests/parsed-document.ts'
import { type Identity, identityOf, type RawValue } from './resource.ts'

export type WatchEvent =
  | { readonly kind: 'put' | 'remove'; readonly identity: Identity; readonly value: RawValue }
  | { readonly kind: 'bookmark'; readonly version: string; readonly endsInitialEvents: boolean }
  | { readonly kind: 'error'; readonly status: WatchStatus }

/** The object of an ERROR event. */
export interface WatchStatus {
  readonly code: number
  readonly reason: string
  readonly message: string
  readonly retryAfterMs?: number
}

/** The line is no event, so an event is lost. */
export class BadEvent extends Error {
  override readonly name = 'BadEvent'
}

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

/** @throws BadEvent */
export function readWatchEvent(line: string): WatchEvent {
  let event: unknown
  try {
    event = JSON.parse(line)
  } catch {
    throw new BadEvent('a line of the watch is not JSON')
  }
  const object = isMapping(event) ? event['object'] : undefined
  if (!isMapping(event) || !isMapping(object)) throw new BadEvent('a line of the watch is not an event')
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED': {
      const identity = identityOf(object)
      if (identity === undefined) throw new BadEvent('an event of the watch has an object without name or version')
      return { kind: event['type'] === 'DELETED' ? 'remove' : 'put', identity, value: object }
    }
    case 'BOOKMARK':
      return readBookmark(object)
    case 'ERROR':
      return { kind: 'error', status: readStatus(object) }
    default:
      throw new BadEvent('an event of the watch has an unknown type')
  }
}

function readBookmark(object: RawValue): WatchEvent {
  const metadata = isMapping(object['metadata']) ? object['metadata'] : {}
  const { resourceVersion: version, annotations } = metadata
  if (typeof version !== 'string' || version === '') throw new BadEvent('a bookmark of the watch has no version')
  const endsInitialEvents = isMapping(annotations) && annotations[INITIAL_EVENTS_END] === 'true'
  return { kind: 'bookmark', version, endsInitialEvents }
}

function readStatus({ code, reason, message, details }: RawValue): WatchStatus {
  const seconds = isMapping(details) ? details['retryAfterSeconds'] : undefined
  return {
    code: typeof code === 'number' ? code : 0,
    reason: typeof reason === 'string' ? reason : '',
    message: typeof message === 'string' ? message : '',
    ...(typeof seconds === 'number' && seconds > 0 && { retryAfterMs: seconds * 1000 }),
  }
}
