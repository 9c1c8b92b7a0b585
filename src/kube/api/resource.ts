// One kind of object as the API serves it: where it is, which of them we want, and how one is read.
import type { Decoded } from '../decode/decode-schema.ts'
import { isMapping } from '../manifests/parsed-document.ts'
import type { AskedObjects } from './asked-objects.ts'

export type RawValue = Readonly<Record<string, unknown>>

export interface Resource<T> extends AskedObjects {
  /** Does the field selector's work for a server that does not know it; without this its refusal is final. */
  readonly selects?: (value: RawValue) => boolean
  readonly decode: (value: RawValue) => DecodedItem<T>
}

export interface DecodedItem<T> extends Decoded<T> {
  /** When its cause happened, in milliseconds since 1970, where the object says so. */
  readonly changedAt?: number
}

/** Which object this is, and which state of it. */
export interface Identity {
  /** `namespace/name`, or `name`. */
  readonly key: string
  readonly uid: string
  readonly version: string
}

/** Undefined for what no API server sends. */
export function identityOf(value: unknown): Identity | undefined {
  const metadata = isMapping(value) ? value['metadata'] : undefined
  if (!isMapping(metadata)) return undefined
  const { namespace, name, uid, resourceVersion } = metadata
  if (typeof name !== 'string' || name === '' || typeof resourceVersion !== 'string') return undefined
  return {
    key: typeof namespace === 'string' && namespace !== '' ? `${namespace}/${name}` : name,
    uid: typeof uid === 'string' ? uid : '',
    version: resourceVersion,
  }
}
