// Files, directories and standard input -> Kubernetes objects.
import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { Issue } from '../../model/issue.ts'
import { parseDocuments, type RawObject } from './documents.ts'

export { type Assembly, assembleSnapshot } from './assemble.ts'

/** Input that can't be read at all. The message is a sentence for a person. */
export class InputError extends Error {
  override readonly name = 'InputError'
}

export interface ManifestOptions {
  /** What `-` stands for; the process's standard input by default. */
  readonly readStdin?: () => Promise<Uint8Array>
  /** Hears how much of one source is done, from 0 to 1. */
  readonly onProgress?: (source: string, fraction: number) => void
}

export interface Manifests {
  /** In the order of the paths, and of the names in a directory. */
  readonly objects: readonly RawObject[]
  readonly issues: readonly Issue[]
}

const STDIN = '<stdin>'
const MANIFEST_NAME = /\.(?:ya?ml|json)$/i

/**
 * Reads manifests: files, directories (their *.yaml, *.yml and *.json, sorted, without sub-directories, as kubectl does),
 * and `-` for standard input.
 * @throws InputError when something can't be read, or a directory holds no manifest.
 */
export async function readManifests(paths: readonly string[], options: ManifestOptions = {}): Promise<Manifests> {
  if (paths.filter((given) => given === '-').length > 1) {
    throw new InputError('standard input can be read only once: give - once')
  }
  const objects: RawObject[] = []
  const issues: Issue[] = []
  for (const given of paths) {
    for (const file of await listFiles(given)) {
      const source = file === '-' ? STDIN : file
      const text = decodeText(await readSource(file, options), source)
      const parsed = parseDocuments(text, source, (fraction) => options.onProgress?.(source, fraction))
      for (const object of parsed.objects) objects.push(object)
      for (const issue of parsed.issues) issues.push(issue)
    }
  }
  if (paths.length > 0 && objects.length === 0 && issues.length === 0) issues.push(emptyIssue(paths))
  return { objects, issues }
}

async function listFiles(given: string): Promise<readonly string[]> {
  if (given === '-') return [given]
  try {
    if (!(await stat(given)).isDirectory()) return [given]
    const entries = await readdir(given)
    const names = entries.filter((name) => MANIFEST_NAME.test(name)).toSorted()
    if (names.length > 0) return names.map((name) => path.join(given, name))
  } catch (error) {
    throw unreadable(given, error)
  }
  throw new InputError(`${given} holds no *.yaml, *.yml or *.json file: name the files, or another directory`)
}

async function readSource(
  file: string,
  { readStdin = () => buffer(process.stdin) }: ManifestOptions,
): Promise<Uint8Array> {
  try {
    return await (file === '-' ? readStdin() : readFile(file))
  } catch (error) {
    throw unreadable(file === '-' ? STDIN : file, error)
  }
}

function decodeText(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InputError(`${source} is not UTF-8 text, or too long for one text: check that it is a manifest`)
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file or directory: check the path'],
  ['EACCES', 'permission denied: allow this user to read it'],
  ['EPERM', 'permission denied: allow this user to read it'],
  ['ENOTDIR', 'part of the path is not a directory: check the path'],
  ['EISDIR', 'it is a directory: name a file'],
  ['ELOOP', 'its symbolic links lead in a circle: correct them'],
])

function unreadable(source: string, error: unknown): InputError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = REASONS.get(code) ?? (error instanceof Error ? error.message : String(error))
  return new InputError(`can't read ${source}: ${reason}`)
}

function emptyIssue(paths: readonly string[]): Issue {
  const source = paths.map((given) => (given === '-' ? STDIN : given)).join(', ')
  return { severity: 'error', at: { source }, message: 'holds no Kubernetes object: check what should have written it' }
}
