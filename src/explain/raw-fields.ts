// Reads single fields of raw Kubernetes objects, leniently: what is absent or of another type is absent. What is wrong
// with a field that rules depend on is reported by src/kube/decode/decode.ts.
import { isMapping } from '../kube/manifests/parsed-document.ts'

export function fieldAt(value: unknown, ...path: readonly string[]): unknown {
  let at = value
  for (const key of path) at = isMapping(at) ? at[key] : undefined
  return at
}

/** Absent for an empty text too. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = fieldAt(value, ...path)
  return typeof found === 'string' && found !== '' ? found : undefined
}

export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = fieldAt(value, ...path)
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = fieldAt(value, ...path)
  return Array.isArray(found) ? (found as readonly unknown[]) : []
}

export function textsAt(value: unknown, ...path: readonly string[]): readonly string[] {
  return listAt(value, ...path).filter((item) => typeof item === 'string')
}

/** The entries of a map whose values are texts, such as labels. */
export function textMapAt(value: unknown, ...path: readonly string[]): Readonly<Record<string, string>> {
  const found = fieldAt(value, ...path)
  if (!isMapping(found)) return {}
  return Object.fromEntries(
    Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
