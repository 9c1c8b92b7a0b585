// What a command looks at: manifests, or one read of a live cluster.
import { buffer } from 'node:stream/consumers'
import { ClusterError } from '../kube/api/cluster-error.ts'
import { assembleSnapshot } from '../kube/manifests/assemble.ts'
import type { RawObject } from '../kube/manifests/documents.ts'
import { InputError, readManifests } from '../kube/manifests/manifest.ts'
import { formatIssue, type Issue } from '../model/issue.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { describeAssembly } from './describe-input.ts'
import { Failure } from './failure.ts'
import type { InputOptions } from './options.ts'
import type { InputStream } from './streams.ts'
import type { Terminal } from './terminal.ts'

export interface Input {
  readonly snapshot: Snapshot
  /** As they were read, for what the snapshot leaves out. */
  readonly objects: readonly RawObject[]
  readonly issues: readonly Issue[]
  /** What was read, and which way its endpoints were found, in words. */
  readonly notes: readonly string[]
}

/** @throws Failure for input that can't be read at all, and for manifests without a single object. */
export async function readInput(options: InputOptions, stdin: InputStream, terminal: Terminal): Promise<Input> {
  const { objects, issues } = await readObjects(options, stdin, terminal)
  terminal.progress('decoding')
  const assembly = assembleSnapshot(objects)
  return {
    snapshot: assembly.snapshot,
    objects,
    issues: [...issues, ...assembly.issues],
    notes: describeAssembly(assembly),
  }
}

export interface ReadObjects {
  readonly objects: readonly RawObject[]
  readonly issues: readonly Issue[]
  /** Pods of a cluster were asked for and read, though there may be none. */
  readonly knowsPods?: boolean
}

/**
 * The objects as they were written. `beyondRules`: of a cluster, also those that no rule is made of.
 * @throws Failure for input that can't be read at all, and for manifests without a single object.
 */
export async function readObjects(
  options: InputOptions,
  stdin: InputStream,
  terminal: Terminal,
  beyondRules?: { readonly podNamespace?: string },
): Promise<ReadObjects> {
  try {
    if (options.filename.length > 0) return await readFiles(options, stdin, terminal)
    return await readLiveCluster(options, terminal, beyondRules)
  } catch (error) {
    if (error instanceof ClusterError || error instanceof InputError) throw new Failure(error.message)
    throw error
  }
}

async function readFiles(options: InputOptions, stdin: InputStream, terminal: Terminal): Promise<ReadObjects> {
  const { filename, kubeconfig, context, master } = options
  if ((kubeconfig ?? context ?? master) !== undefined) {
    throw new Failure('-f excludes --kubeconfig, --context and --master: read manifests or a cluster')
  }
  if (filename.includes('-') && stdin.isTTY === true) terminal.say('reading manifests from the terminal until Ctrl-D')
  const read = await readManifests(filename, {
    readStdin: () => buffer(stdin),
    onProgress: (source, fraction) => terminal.progress(`reading ${source}`, fraction),
  })
  // Rules for no Service at all would undo everything wherever they are loaded.
  if (read.objects.length === 0) throw new Failure(read.issues.map(formatIssue).join('\n'), read.issues)
  return read
}

async function readLiveCluster(
  { kubeconfig, context, master }: InputOptions,
  terminal: Terminal,
  beyondRules: { readonly podNamespace?: string } | undefined,
): Promise<ReadObjects> {
  const { readCluster } = await import('../kube/api/cluster.ts')
  const variable = master === undefined || context !== undefined ? process.env['KUBECONFIG'] : undefined
  const file = kubeconfig ?? variable
  try {
    const read = await readCluster({
      ...(file !== undefined && { kubeconfig: file }),
      ...(context !== undefined && { context }),
      ...(master !== undefined && { master }),
      ...(beyondRules && { beyondRules }),
      onProgress: (done) => terminal.progress(`reading the cluster: ${done}`),
    })
    terminal.say(`read ${read.server}`)
    return read
  } catch (error) {
    if (!(error instanceof ClusterError) || error.kind !== 'no-configuration') throw error
    throw new Failure(`${error.message}; or give manifests: -f FILE, -f FOLDER or -f -`)
  }
}
