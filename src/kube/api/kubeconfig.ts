// Kubeconfig files: finds, reads and merges them as kubectl does, and picks one context. What is in a user stays as it
// is written; src/kube/api/cluster.ts leaves it to the Kubernetes client to make requests of it.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'
import { isMapping } from '../manifests/parsed-document.ts'
import { ClusterError, oneLine } from './cluster-error.ts'

type Fields = Readonly<Record<string, unknown>>

/** One context of a kubeconfig. File names in it are absolute. */
export interface Access {
  /** The files it came from, for messages. */
  readonly source: string
  /** The fields under `cluster:`. */
  readonly cluster: Fields
  /** The fields under `user:`; empty for a context without user. */
  readonly user: Fields
  readonly userName: string
}

/**
 * Merges the files of `list`, separated as in KUBECONFIG: the first file that sets a name wins, and missing files are
 * passed over when others are there. `context` is the current one by default.
 * @throws ClusterError naming the file and what is wrong in it, or the contexts there are.
 */
export function readKubeconfig(list: string, context: string | undefined): Access {
  const files = list.split(path.delimiter).filter((file) => file !== '')
  const merged = mergeFiles(files)
  const source = files.join(path.delimiter)
  const name = context ?? merged.currentContext
  const known = [...merged.contexts.keys()].toSorted()
  const choices = known.length === 0 ? 'it has no contexts' : `the contexts there are: ${known.join(', ')}`
  if (name === undefined || name === '') {
    throw new ClusterError('unknown-context', `${source} has no current-context: choose one with --context; ${choices}`)
  }
  const chosen = merged.contexts.get(name)
  if (chosen === undefined) {
    throw new ClusterError('unknown-context', `${source} has no context '${oneLine(name)}'; ${choices}`)
  }
  const userName = text(chosen['user'])
  return {
    source,
    cluster: lookUp(merged.clusters, text(chosen['cluster']), `cluster of context '${name}'`, source),
    user: userName === '' ? {} : lookUp(merged.users, userName, `user of context '${name}'`, source),
    userName,
  }
}

interface Kubeconfig {
  readonly clusters: Map<string, Fields>
  readonly users: Map<string, Fields>
  readonly contexts: Map<string, Fields>
  currentContext?: string
}

function mergeFiles(files: readonly string[]): Kubeconfig {
  const merged: Kubeconfig = { clusters: new Map(), users: new Map(), contexts: new Map() }
  let found = 0
  for (const file of files) {
    const written = readText(file, files.length > 1)
    if (written === undefined) continue
    found += 1
    const config = parseKubeconfig(file, written)
    addEntries(merged.clusters, config['clusters'], 'cluster', file, absoluteClusterFiles)
    addEntries(merged.users, config['users'], 'user', file, absoluteUserFiles)
    addEntries(merged.contexts, config['contexts'], 'context', file, (fields) => fields)
    const current = text(config['current-context'])
    if (current !== '') merged.currentContext ??= current
  }
  if (found > 0) return merged
  throw new ClusterError('kubeconfig', `no kubeconfig file of '${files.join(path.delimiter)}' exists: check the paths`)
}

function readText(file: string, mayBeMissing: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && mayBeMissing) return undefined
    const reason = code === 'ENOENT' ? 'there is no such file; check the path' : oneLine(message)
    throw new ClusterError('kubeconfig', `the kubeconfig ${file} can't be read: ${reason}`, { cause: error })
  }
}

function parseKubeconfig(file: string, written: string): Fields {
  let value: unknown
  try {
    // Merge keys as Go's YAML reader knows them; the messages carry line and column.
    value = parse(written, { merge: true })
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
    throw broken(file, `it is not YAML: ${oneLine(reason).replace(/:$/, '')}`, { cause: error })
  }
  if (value === null) return {}
  if (!isMapping(value)) throw broken(file, 'it is not a mapping with clusters, users and contexts')
  return value
}

function addEntries(
  entries: Map<string, Fields>,
  written: unknown,
  kind: 'cluster' | 'user' | 'context',
  file: string,
  absolute: (fields: Fields, folder: string) => Fields,
): void {
  if (written === undefined || written === null) return
  if (!Array.isArray(written)) throw broken(file, `${kind}s is not a list`)
  for (const [index, entry] of written.entries()) {
    if (!isMapping(entry)) throw broken(file, `${kind}s[${index}] is not a mapping`)
    const name = text(entry['name'])
    if (name === '') throw broken(file, `${kind}s[${index}].name is missing`)
    const fields = entry[kind] ?? {}
    if (!isMapping(fields)) throw broken(file, `${kind}s[${index}].${kind} is not a mapping`)
    if (!entries.has(name)) entries.set(name, absolute(fields, path.dirname(path.resolve(file))))
  }
}

function absoluteClusterFiles(cluster: Fields, folder: string): Fields {
  return resolveFiles(cluster, ['certificate-authority'], folder)
}

function absoluteUserFiles(user: Fields, folder: string): Fields {
  const files = resolveFiles(user, ['client-certificate', 'client-key', 'tokenFile'], folder)
  const { exec } = user
  if (!isMapping(exec) || !text(exec['command']).includes('/')) return files
  return { ...files, exec: resolveFiles(exec, ['command'], folder) }
}

function resolveFiles(fields: Fields, names: readonly string[], folder: string): Fields {
  const written = names.filter((name) => text(fields[name]) !== '')
  return {
    ...fields,
    ...Object.fromEntries(written.map((name) => [name, path.resolve(folder, text(fields[name]))])),
  }
}

function lookUp(entries: ReadonlyMap<string, Fields>, name: string, what: string, source: string): Fields {
  const fields = entries.get(name)
  if (fields !== undefined) return fields
  throw broken(source, name === '' ? `the ${what} is missing` : `the ${what}, '${oneLine(name)}', is not defined`)
}

function broken(file: string, reason: string, options?: ErrorOptions): ClusterError {
  return new ClusterError('kubeconfig', `the kubeconfig ${file} is broken: ${reason}; correct the file`, options)
}

/** Names may look like numbers in YAML. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}
