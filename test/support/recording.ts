// Answers recorded from a real API server: test/data/recordings.
import { readFileSync } from 'node:fs'
import type { Value } from './api-store.ts'

export interface Recording {
  readonly request: { readonly path: string }
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly stream?: readonly { readonly line: string }[]
}

export function readRecording(name: string): Recording {
  return JSON.parse(readFileSync(new URL(`../data/recordings/${name}.json`, import.meta.url), 'utf8')) as Recording
}

/** The body of a recorded list. */
export interface RecordedList {
  readonly kind: string
  readonly apiVersion: string
  readonly metadata: Value
  readonly items: readonly Value[]
}

export function recordedList(name: string): RecordedList {
  return JSON.parse(readRecording(name).body) as RecordedList
}
