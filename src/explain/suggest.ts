// Names near one that does not exist, for messages.
import { type ObjectKey, objectKey } from '../model/object-name.ts'

const MOST_SUGGESTIONS = 3
const MOST_EDITS = 3

/** First the same name in other namespaces, then names that differ in few letters, nearest first. */
export function suggestServices(namespace: string, name: string, known: readonly ObjectKey[]): readonly ObjectKey[] {
  const wanted = objectKey(namespace, name)
  const scored = known.flatMap((key) => {
    const [space = '', other = ''] = key.split('/')
    if (other === name) return [{ key, score: 0 }]
    const score = Math.min(
      space === namespace ? distance(name, other) : Number.POSITIVE_INFINITY,
      distance(wanted, key),
    )
    const near = score <= Math.min(MOST_EDITS, Math.ceil(name.length / 3))
    const part = space === namespace && name.length > 2 && (other.includes(name) || name.includes(other))
    return near || part ? [{ key, score: near ? score : MOST_EDITS + 1 }] : []
  })
  return scored
    .toSorted((a, b) => a.score - b.score || (a.key < b.key ? -1 : 1))
    .slice(0, MOST_SUGGESTIONS)
    .map(({ key }) => key)
}

/** Edit distance, in which two letters that changed places count once; lengths that differ by too much are not compared. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MOST_EDITS) return Number.POSITIVE_INFINITY
  let before: readonly number[] = []
  let row: readonly number[] = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = exchanged ? (before[j - 2] ?? 0) + 1 : changed
      next.push(Math.min(changed, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}
