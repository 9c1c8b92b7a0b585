// What a command looks at: manifests, or one read of a live cluster.
import { ClusterError } from '../kube/cluster-error.ts'
import type { EndpointOrigin } from '../kube/derive-endpoints.ts'
import type { RawObject } from '../kube/documents.ts'
import { type Assembly, assembleSnapshot, InputError, readManifests } from '../kube/manifest.ts'
import type { Issue } from '../model/issue.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { Failure } from './failure.ts'
import type { InputOptions } from './options.ts'
import type { Terminal } from './terminal.ts'

export interface Input {
  readonly snapshot: Snapshot
  readonly issues: readonly Issue[]
  /** What was read, and which way its endpoints were found, in words. */
  readonly notes: readonly string[]
}

/** @throws Failure for input that can't be read at all. */
export async function readInput(options: InputOptions, terminal: Terminal): Promise<Input> {
  try {
    const fromFiles = options.filename.length > 0
    const { objects, issues } = fromFiles
      ? await readFiles(options, terminal)
      : await readLiveCluster(options, terminal)
    terminal.progress('decoding')
    const assembly = assembleSnapshot(objects)
    return { snapshot: assembly.snapshot, issues: [...issues, ...assembly.issues], notes: describeAssembly(assembly) }
  } catch (error) {
    if (error instanceof ClusterError || error instanceof InputError) throw new Failure(error.message)
    throw error
  }
}

interface ReadObjects {
  readonly objects: readonly RawObject[]
  readonly issues: readonly Issue[]
}

async function readFiles(options: InputOptions, terminal: Terminal): Promise<ReadObjects> {
  if (options.kubeconfig !== undefined || options.context !== undefined) {
    throw new Failure('-f and --kubeconfig or --context exclude each other: read manifests or a cluster')
  }
  return readManifests(options.filename, {
    onProgress: (source, fraction) => terminal.progress(`reading ${source}`, fraction),
  })
}

async function readLiveCluster({ kubeconfig, context }: InputOptions, terminal: Terminal): Promise<ReadObjects> {
  const { readCluster } = await import('../kube/cluster.ts')
  const file = kubeconfig ?? process.env['KUBECONFIG']
  const read = await readCluster({
    ...(file !== undefined && { kubeconfig: file }),
    ...(context !== undefined && { context }),
    onProgress: (done) => terminal.progress(`reading the cluster: ${done}`),
  })
  terminal.say(`read ${read.server}`)
  return read
}

/** What was read, and which way endpoints were found for how many Services. */
function describeAssembly({ snapshot, derived, ignoredKinds }: Assembly): readonly string[] {
  const { services, nodes } = snapshot
  const ways = [
    ['EndpointSlices', services.filter((entry) => entry.slices.length > 0).length - sum(derived, 'Endpoints', 'Pods')],
    ['Endpoints objects', sum(derived, 'Endpoints')],
    ['Pods', sum(derived, 'Pods')],
    ['nowhere: none in the input', sum(derived, 'nothing')],
  ] as const
  const taken = ways.filter(([, count]) => count > 0).map(([way, count]) => `${way} (${count})`)
  const ignored = [...ignoredKinds]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${kind} (${count})`)
  return [
    `input: ${plural(services.length, 'Service')}, ${plural(nodes.size, 'Node')}`,
    ...(taken.length > 0 ? [`endpoints of Services come from ${taken.join(', ')}`] : []),
    ...(ignored.length > 0 ? [`ignored: ${ignored.join(', ')}`] : []),
  ]
}

function sum(derived: Assembly['derived'], ...origins: readonly EndpointOrigin[]): number {
  return origins.reduce((total, origin) => total + (derived.get(origin) ?? 0), 0)
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
