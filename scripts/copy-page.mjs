// Puts the parts of the page of `sluice graph -o html`, which no compiler makes, where the built program looks for them.
// Plain JavaScript, because it runs while the project is installed, with whatever Node is there.
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const from = fileURLToPath(new URL('../src/picture/page/', import.meta.url))
const to = path.resolve(process.argv[2] ?? fileURLToPath(new URL('../dist/picture/page/', import.meta.url)))
mkdirSync(to, { recursive: true })
for (const name of readdirSync(from)) copyFileSync(path.join(from, name), path.join(to, name))
