// What our small servers answer, as values: a page is a function from a request to a Reply, and needs no socket to test.
import type { Readable } from 'node:stream'

export interface PageRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** The body as text; rejects when it is longer than `limit` bytes. */
  readonly readBody: (limit: number) => Promise<string>
}

export interface Reply {
  readonly status: number
  /** In the order in which they are sent. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Readable
}

/** A Reply whose body is known at once. */
export interface PrintedReply extends Reply {
  readonly body: string
}

/** `drop` closes the connection without an answer. */
export type Answer = (request: PageRequest) => Reply | 'drop' | Promise<Reply | 'drop'>

const NOSNIFF = ['X-Content-Type-Options', 'nosniff'] as const

export function textReply(status: number, body: string | Readable): Reply {
  return { status, headers: [['Content-Type', 'text/plain; charset=utf-8'], NOSNIFF], body }
}

/** JSON is sent as text that is already printed: its order and layout are part of the contract. */
export function jsonReply(status: number, body: string, more: Reply['headers'] = []): PrintedReply {
  return { status, headers: [['Content-Type', 'application/json'], NOSNIFF, ...more], body }
}

/** What Go's servers say about a path that they don't have. */
export function notFound(): Reply {
  return textReply(404, '404 page not found\n')
}
