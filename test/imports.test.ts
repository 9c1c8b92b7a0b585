// Who may import whom: the architecture, held.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCES = path.join(import.meta.dirname, '..', 'src')

/** The folders that a folder may import, beside itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  model: [],
  resolve: ['model'],
  packet: ['model'],
  kube: ['model'],
  iptables: ['model', 'resolve', 'packet'],
  ipset: ['model'],
  ipvs: ['model', 'resolve', 'packet', 'iptables', 'ipset'],
  sync: ['model', 'iptables', 'ipset', 'ipvs'],
  host: ['model'],
  hands: ['model', 'host'],
  explain: ['model', 'resolve', 'kube', 'iptables', 'ipset', 'ipvs'],
  compare: ['model', 'resolve', 'iptables', 'ipset', 'ipvs'],
  lint: ['model', 'iptables', 'ipset', 'ipvs', 'compare'],
  estimate: ['model', 'iptables', 'ipset', 'ipvs'],
  picture: ['model', 'iptables', 'ipset', 'ipvs', 'packet'],
  daemon: ['model', 'resolve', 'kube', 'iptables', 'ipset', 'ipvs', 'sync', 'host'],
  cli: [
    'model',
    'resolve',
    'kube',
    'iptables',
    'ipset',
    'ipvs',
    'sync',
    'host',
    'daemon',
    'explain',
    'packet',
    'compare',
    'lint',
    'estimate',
    'picture',
  ],
  '.': ['model', 'resolve', 'kube', 'iptables', 'ipset', 'ipvs', 'compare', 'explain', 'lint', 'host', 'cli'],
}

/** The folders whose types a folder may use: what it is handed, or hands over. */
const ALLOWED_TYPES: Readonly<Record<string, readonly string[]>> = {
  sync: ['host'],
  host: ['sync'],
  hands: ['sync'],
}

/** Pure: no clock, no process, no network, no environment, no randomness. */
const PURE = [
  'model',
  'resolve',
  'iptables',
  'ipset',
  'ipvs',
  'sync',
  'packet',
  'compare',
  'lint',
  'estimate',
  'explain',
  'picture',
]
const FORBIDDEN_IN_PURE =
  /\b(?:Date|performance|process|setTimeout|setInterval|fetch|console)\b\s*[.(]|Math\.random|new Date/

/** Folders and files that may use Node's own modules; all others only those that NODE_MODULES names. */
const MAY_USE_NODE = [
  'host',
  'hands',
  'daemon',
  'cli',
  '.',
  'kube/api/access.ts',
  'kube/api/cluster.ts',
  'kube/api/cluster-error.ts',
  'kube/api/cluster-session.ts',
  'kube/api/credentials.ts',
  'kube/manifests/directory-changes.ts',
  'kube/manifests/directory-source.ts',
  'kube/api/http1-transport.ts',
  'kube/api/http2-transport.ts',
  'kube/api/kubeconfig.ts',
  'kube/manifests/manifest.ts',
  'kube/api/transport.ts',
  'kube/api/transports.ts',
]
const NODE_MODULES: Readonly<Record<string, RegExp>> = {
  'iptables/names.ts': /^node:crypto$/,
}
const MAY_START_PROCESSES = ['hands/run-tool.ts', 'host/exec.ts', 'host/hands-process.ts']

interface SourceFile {
  /** `iptables/rule.ts` */
  readonly name: string
  readonly folder: string
  readonly text: string
  readonly imports: readonly Import[]
}

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readSource(name))

describe('imports', () => {
  test('there are source files to check, and the reader sees their imports', () => {
    expect(files.length).toBeGreaterThan(20)
    expect(files.find((file) => file.name === 'main.ts')?.imports).toContainEqual({ from: 'node:fs', typeOnly: false })
  })

  test.each(files)('$name imports only folders that it may', ({ name, folder, imports }) => {
    const strange = imports.filter(({ from, typeOnly }) => {
      if (!from.startsWith('.')) return false
      const target = folderOf(resolveImport(name, from))
      const allowed = [folder, ...(ALLOWED[folder] ?? []), ...(typeOnly ? (ALLOWED_TYPES[folder] ?? []) : [])]
      return !allowed.includes(target)
    })
    expect(strange).toEqual([])
  })

  test.each(files)('$name uses only the Node modules that it may', ({ name, folder, imports }) => {
    const used = imports.map(({ from }) => from).filter((from) => from.startsWith('node:'))
    const allowed = MAY_USE_NODE.includes(folder) || MAY_USE_NODE.includes(name)
    expect(used.filter((module) => !allowed && !NODE_MODULES[name]?.test(module))).toEqual([])
  })

  test.each(files.filter((file) => PURE.includes(file.folder)))('$name is pure', ({ text }) => {
    expect(stripComments(text)).not.toMatch(FORBIDDEN_IN_PURE)
  })

  test('only one file loads the Kubernetes client, and only few start processes', () => {
    const loads = (module: RegExp) =>
      files
        .filter(({ imports }) => imports.some(({ from, typeOnly }) => module.test(from) && !typeOnly))
        .map(({ name }) => name)
    expect(loads(/^@kubernetes\/client-node$/)).toEqual(['kube/api/cluster.ts'])
    expect(loads(/^(?:execa|node:child_process)$/).toSorted()).toEqual(MAY_START_PROCESSES)
  })

  test('no file imports itself by way of others', () => {
    const graph = new Map(
      files.map((file) => [
        file.name,
        file.imports.filter(({ from }) => from.startsWith('.')).map(({ from }) => resolveImport(file.name, from)),
      ]),
    )
    const inCycle = [...graph.keys()].filter((name) => reaches(graph, name, name))
    expect(inCycle).toEqual([])
  })
})

function readSource(name: string): SourceFile {
  const text = readFileSync(path.join(SOURCES, name), 'utf8')
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)
  const lazy = text.matchAll(/\bimport\(['"]([^'"]+)['"]\)/g)
  const imports = [
    ...[...statements].map(([, type, from]) => ({ from: from ?? '', typeOnly: type !== undefined })),
    ...[...lazy].map(([statement, from]) => ({ from: from ?? '', typeOnly: text.includes(`typeof ${statement}`) })),
  ]
  return { name, folder: folderOf(name), text, imports }
}

function folderOf(name: string): string {
  return path.posix.dirname(name).split('/')[0] ?? '.'
}

function resolveImport(name: string, from: string): string {
  return path.posix.normalize(path.posix.join(path.posix.dirname(name), from))
}

function stripComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
}

function reaches(graph: ReadonlyMap<string, readonly string[]>, from: string, to: string): boolean {
  const seen = new Set<string>()
  const open = [...(graph.get(from) ?? [])]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === to) return true
    if (!seen.has(name)) open.push(...(graph.get(name) ?? []))
    seen.add(name)
  }
  return false
}
