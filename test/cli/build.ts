// Tests of whole processes run what is in dist.
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'

const ROOT = path.join(import.meta.dirname, '..', '..')

/** Throws when dist is not what src would be compiled to now. */
export function requireBuild(): void {
  const built = statSync(path.join(ROOT, 'dist', 'main.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  const newest = Math.max(...sources.map((file) => statSync(path.join(ROOT, 'src', file)).mtimeMs))
  if (built < newest) throw new Error('dist is older than src: run npm run prepare')
}
