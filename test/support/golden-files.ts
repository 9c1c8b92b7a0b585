// Files of scenarios, as the tests of goldens read them.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { GOLDEN_ROOT } from './golden-case.ts'

/** Our own scenarios, beside those that were recorded. */
export const OWN_SCENARIOS = path.join(GOLDEN_ROOT, 'own')

export function read(file: string): string {
  return readFileSync(file, 'utf8')
}

/** Absolute, sorted. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted()
}

/** By path below the folder, sorted. */
export function contents(folder: string): ReadonlyMap<string, string> {
  return new Map(filesBelow(folder).map((file) => [path.relative(folder, file), read(file)]))
}
