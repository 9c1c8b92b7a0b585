// /debug/rules: what the proxy last wrote, what it failed to write, and what it is about to write; for one Service or all.
import { Readable } from 'node:stream'
import type { ObjectKey } from '../model/object-name.ts'
import { type PageRequest, type Reply, textReply } from './http-reply.ts'

/** Pieces of text, newlines included; made while they are sent, so that large tables never stand in memory whole. */
export type TextPieces = readonly string[] | Generator<string>

/** Undefined where there is nothing to show. Without a Service: everything. */
export interface DebugRules {
  readonly lastApplied: (service: ObjectKey | undefined) => TextPieces | undefined
  readonly lastFailed: (service: ObjectKey | undefined) => TextPieces | undefined
  readonly pending: (service: ObjectKey | undefined) => TextPieces | undefined
}

const OBJECT_KEY = /^[a-z0-9.-]{1,253}\/[a-z0-9.-]{1,253}$/

/** `?service=ns/name` filters. */
export function answerDebugRules({ query }: PageRequest, rules: DebugRules): Reply {
  const service = query.get('service') ?? undefined
  if (service !== undefined && !OBJECT_KEY.test(service)) {
    return textReply(400, `${JSON.stringify(service)} names no Service: write ?service=namespace/name\n`)
  }
  return textReply(200, Readable.from(printSections(service, rules)))
}

function* printSections(service: ObjectKey | undefined, rules: DebugRules): Generator<string> {
  const about = service === undefined ? '' : ` of ${service}`
  yield* printSection(`last applied rules${about}`, rules.lastApplied(service))
  yield* printSection(`last failed payload${about}`, rules.lastFailed(service))
  yield* printSection(`pending${about}`, rules.pending(service))
}

function* printSection(title: string, pieces: TextPieces | undefined): Generator<string> {
  yield `### ${title}\n`
  if (pieces === undefined) yield 'none\n'
  else yield* pieces
  yield '\n'
}
