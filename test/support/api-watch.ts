// The watches of the test double: `watch=true` streams of an ApiStore's changes, as recorded in test/data/recordings.
import type { ServerResponse } from 'node:http'
import { statusObject } from './api-list.ts'
import { type ApiStore, type Change, matches, type Resource, type Selectors, type Value } from './api-store.ts'

interface Watch {
  readonly resource: Resource
  readonly bookmarks: boolean
  readonly response: ServerResponse
  /** Open, and never heard of again, as after a network that forgot the connection. */
  isSilent: boolean
}

export class ApiWatches {
  /**
   * Whether `sendInitialEvents=true` is served. The recorded server could not, and said so in an ERROR event; older ones
   * refuse the parameters with 422, and the oldest pass over them and send events without an end.
   */
  initialEvents: boolean | 'refused' | 'unknown' = true
  readonly #store: ApiStore
  readonly #open = new Set<Watch>()

  constructor(store: ApiStore) {
    this.#store = store
  }

  /** How many watches are open. */
  get size(): number {
    return this.#open.size
  }

  /** Starts to stream into `response`, from the resource version of `query` on. */
  open(resource: Resource, query: URLSearchParams, response: ServerResponse): void {
    response.writeHead(200, { 'Cache-Control': 'no-cache, private', 'Content-Type': 'application/json' })
    response.flushHeaders()
    const bookmarks = query.get('allowWatchBookmarks') === 'true'
    const watch: Watch = { resource, bookmarks, response, isSilent: false }
    const selectors = { labels: query.get('labelSelector') ?? '', fields: query.get('fieldSelector') ?? '' }
    if (!this.#sendPast(watch, query, selectors)) {
      response.end()
      return
    }
    // From a version that is not reached yet, a watch is silent until it is.
    const version = Number(query.get('resourceVersion') ?? 0)
    const stop = this.#store.onChange((change) => {
      if (change.resourceVersion > version) sendChange(watch, selectors, change)
    })
    this.#open.add(watch)
    // The server ends a watch after timeoutSeconds, and sends a last bookmark shortly before.
    const seconds = Number(query.get('timeoutSeconds') ?? 1800)
    const timers = [
      setTimeout(() => this.#bookmark(watch), Math.max(0, seconds - 2) * 1000),
      setTimeout(() => endWatch(watch), seconds * 1000),
    ]
    response.on('close', () => {
      stop()
      this.#open.delete(watch)
      for (const timer of timers) clearTimeout(timer)
    })
  }

  /** Sends a bookmark into every watch that asked for them. */
  bookmark(): void {
    for (const watch of this.#open) this.#bookmark(watch)
  }

  /** Ends every watch in order, as at its timeout. */
  end(): void {
    for (const watch of this.#open) endWatch(watch)
  }

  /** From now on, nothing comes through any watch that is open now, and none of them ends. */
  silence(): void {
    for (const watch of this.#open) watch.isSilent = true
  }

  /** Cuts the connection of every watch; over HTTP/2, its stream. */
  cut(): void {
    for (const { response } of this.#open) response.socket?.destroy()
  }

  /** Sends a line as it is into every watch, such as an ERROR event or one that is no JSON. */
  send(line: string): void {
    for (const { response, isSilent } of this.#open) if (!isSilent) response.write(`${line}\n`)
  }

  /** What happened until now. False when the watch ends with that: an error was sent. */
  #sendPast(watch: Watch, query: URLSearchParams, selectors: Selectors): boolean {
    const version = Number(query.get('resourceVersion') ?? 0)
    const streamsAll = query.get('sendInitialEvents') === 'true'
    if (streamsAll && this.initialEvents === false) {
      const message = 'a watch stream was requested by the client but the required storage feature is disabled'
      sendEvent(watch, 'ERROR', statusObject(500, 'InternalError', message))
      return false
    }
    if (streamsAll || version === 0) {
      for (const [, object] of this.#store.list(watch.resource.name, this.#store.resourceVersion, selectors)) {
        sendObject(watch, 'ADDED', object)
      }
      if (streamsAll && this.initialEvents === true) this.#bookmark(watch, { 'k8s.io/initial-events-end': 'true' })
      return true
    }
    if (version < this.#store.oldest) {
      const message = `too old resource version: ${version} (${this.#store.oldest})`
      sendEvent(watch, 'ERROR', statusObject(410, 'Expired', message))
      return false
    }
    for (const change of this.#store.changes) {
      if (change.resourceVersion > version) sendChange(watch, selectors, change)
    }
    return true
  }

  #bookmark(watch: Watch, annotations?: Readonly<Record<string, string>>): void {
    if (!watch.bookmarks) return
    const { kind, apiVersion } = watch.resource
    const metadata = { resourceVersion: String(this.#store.resourceVersion), ...(annotations && { annotations }) }
    // Go prints the empty structs of the kinds that have them.
    const empty = kind === 'Service' ? { spec: {}, status: { loadBalancer: {} } } : {}
    sendEvent(watch, 'BOOKMARK', { kind, apiVersion, metadata, ...empty })
  }
}

function endWatch(watch: Watch): void {
  if (!watch.isSilent) watch.response.end()
  // Until it is closed, there is nothing more to say in it.
  watch.isSilent = true
}

/** For a selector, an object that stops matching is DELETED, and one that begins to is ADDED. */
function sendChange(watch: Watch, selectors: Selectors, change: Change): void {
  if (change.resource !== watch.resource.name) return
  const before = change.before !== undefined && matches(change.before, selectors) ? change.before : undefined
  const after = change.object !== undefined && matches(change.object, selectors) ? change.object : undefined
  if (after !== undefined) {
    sendObject(watch, before === undefined ? 'ADDED' : 'MODIFIED', after)
  } else if (before !== undefined) {
    // The last state that matched, with the version of the change that ended it.
    const metadata = { ...(before['metadata'] as Value), resourceVersion: String(change.resourceVersion) }
    sendObject(watch, 'DELETED', { ...before, metadata })
  }
}

function sendObject(watch: Watch, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: Value): void {
  const { kind, apiVersion } = watch.resource
  sendEvent(watch, type, { kind, apiVersion, ...object })
}

function sendEvent({ response, isSilent }: Watch, type: string, object: object): void {
  if (isSilent) return
  response.write(`${JSON.stringify({ type, object })}\n`)
}
