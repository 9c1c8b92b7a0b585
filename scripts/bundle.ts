// Makes dist/sluice.bundle.mjs, which is sluice, and dist/hands.bundle.mjs, its helper process, so that a container needs
// no node_modules. Beside them lie what is loaded only when it is needed (*.chunk.mjs: the daemon must not carry the
// Kubernetes client of `sluice render`, 14 MB of memory), the native addon of each architecture, and the parts of the page
// of `sluice graph`.
//
// Usage: scripts/bundle [FOLDER], dist by default. The folder above must hold package.json, for the version.
import { copyFileSync, cpSync, globSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type Plugin, rolldown } from 'rolldown'

const ROOT = path.join(import.meta.dirname, '..')
const ARCHITECTURES = ['x64', 'arm64'] as const
/** Loads the addon from beside the bundle. */
const ADDON = 'sluice:netlink-addon'
const LOAD_ADDON = `
import { createRequire } from 'node:module'
export default createRequire(import.meta.url)('./netlink-' + process.arch + '.node')
`

interface Change {
  readonly file: RegExp
  readonly from: string
  readonly to: string
}

/** What is found relative to its own file in the sources, and beside the bundle in a bundle. */
const CHANGES: readonly Change[] = [
  {
    file: /netlink\/dist\/raw\.js$/,
    from: "require('node-gyp-build')(__dirname + '/..')",
    to: `require('${ADDON}').default`,
  },
  { file: /src\/host\/hands-process\.ts$/, from: '`../hands/main.${extension}`', to: "'./hands.bundle.mjs'" },
  { file: /src\/cli\/graph-page\.ts$/, from: "'../picture/page/'", to: "'./page/'" },
]

async function bundle(folder: string): Promise<void> {
  const missed: string[] = []
  const bundled = await rolldown({
    input: { sluice: path.join(ROOT, 'src/main.ts'), hands: path.join(ROOT, 'src/hands/main.ts') },
    platform: 'node',
    // Its main file looks for its parts in a way that no bundler can follow.
    resolve: { alias: { 'jsonc-parser': path.join(ROOT, 'node_modules/jsonc-parser/lib/esm/main.js') } },
    plugins: [createChanges(missed)],
    onLog: (level, log) => {
      if (level === 'warn') missed.push(log.message)
    },
  })
  await bundled.write({
    dir: folder,
    format: 'esm',
    entryFileNames: '[name].bundle.mjs',
    chunkFileNames: '[name]-[hash].chunk.mjs',
    comments: { legal: true },
  })
  if (missed.length > 0) throw new Error(`the bundle may not work:\n${missed.join('\n')}`)
}

function createChanges(missed: string[]): Plugin {
  return {
    name: 'sluice',
    resolveId: (source) => (source === ADDON ? { id: ADDON } : undefined),
    load: (id) => (id === ADDON ? LOAD_ADDON : undefined),
    transform: (code, id) => {
      const change = CHANGES.find(({ file }) => file.test(id))
      if (change === undefined) return undefined
      if (!code.includes(change.from)) missed.push(`${id} no longer holds ${change.from}: correct scripts/bundle.ts`)
      return { code: code.replace(change.from, () => change.to) }
    },
  }
}

function copyAddons(folder: string): void {
  const prebuilds = path.join(ROOT, 'node_modules', 'netlink', 'prebuilds')
  for (const architecture of ARCHITECTURES) {
    const from = path.join(prebuilds, `linux-${architecture}`)
    const [addon] = readdirSync(from)
    if (addon === undefined) throw new Error(`${from} holds no addon`)
    copyFileSync(path.join(from, addon), path.join(folder, `netlink-${architecture}.node`))
  }
}

const folder = path.resolve(process.argv[2] ?? path.join(ROOT, 'dist'))
mkdirSync(folder, { recursive: true })
for (const stale of globSync('*.{bundle,chunk}.mjs', { cwd: folder })) rmSync(path.join(folder, stale))
await bundle(folder)
copyAddons(folder)
cpSync(path.join(ROOT, 'src/picture/page'), path.join(folder, 'page'), { recursive: true })
