// `npm run golden`: what `sluice golden` does, on rules-golden and from the sources, without a build.
import path from 'node:path'

const given = process.argv.slice(2)
const goldens = path.relative(process.cwd(), path.join(import.meta.dirname, '..', 'rules-golden')) || '.'
const folders = given.some((word) => !word.startsWith('-')) ? [] : [goldens]
process.argv.splice(2, given.length, 'golden', ...given, ...folders)
await import('../src/main.ts')
