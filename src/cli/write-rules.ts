// Rules -> standard output, or files of a folder.
import { closeSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'
import { DOCUMENT_VERSION } from '../iptables/document.ts'
import { Failure } from './failure.ts'
import type { OutputOptions } from './options.ts'
import { reasonOf } from './read-text.ts'
import { documentOf, type RenderedNode, TEXT_FORMATS, type TextFormat, textsOf } from './rendered.ts'
import type { OutputStream } from './streams.ts'
import { type Pieces, writeOut } from './write-out.ts'

export interface WriteOptions extends OutputOptions {
  readonly allNodes?: true
}

/** @throws Failure when it can't be written. */
export async function printRendered(
  rendered: readonly RenderedNode[],
  options: WriteOptions,
  stdout: OutputStream,
): Promise<void> {
  const { output } = options
  const isText = output === 'save' || output === 'restore'
  await writeOut(isText ? printTexts(rendered, output, options) : await printModel(rendered, output, options), stdout)
}

/** Headings where there are several texts, so that a single one can go to iptables-restore as it is. */
function* printTexts(rendered: readonly RenderedNode[], format: TextFormat, options: WriteOptions): Pieces {
  for (const each of rendered) {
    const headed = rendered.length > 1 || options.family === undefined || each.mode === 'ipvs'
    for (const { name, pieces } of textsOf(each, format)) {
      if (headed) yield `# ${each.node.name}: ${name}\n`
      yield* pieces
    }
  }
}

/** One document; with --all-nodes a list of them, also when there is one node. */
async function printModel(
  rendered: readonly RenderedNode[],
  output: 'json' | 'yaml',
  options: WriteOptions,
): Promise<string> {
  const documents = rendered.map(documentOf)
  const value =
    options.allNodes === true ? { apiVersion: DOCUMENT_VERSION, kind: 'NodeRulesList', items: documents } : documents[0]
  try {
    if (output === 'json') return `${JSON.stringify(value, undefined, 2)}\n`
    const { stringify } = await import('yaml')
    return stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new Failure(`-o ${output}: there are too many rules for one text: limit them with --family or --service`)
  }
}

/** Returns how many files were written. @throws Failure when one can't be. */
export function writeFiles(rendered: readonly RenderedNode[], folder: string, options: WriteOptions): number {
  let files = 0
  try {
    for (const each of rendered) {
      // Names of Nodes are DNS names, so this is always a folder of its own below `folder`.
      const place = options.allNodes === true ? path.join(folder, each.node.name) : folder
      makeFolder(path.resolve(place))
      for (const format of TEXT_FORMATS) {
        for (const { name, pieces } of textsOf(each, format)) {
          writePieces(path.join(place, name), pieces)
          files += 1
        }
      }
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw new Failure(`--out ${folder}: ${reasonOf(error)}`)
    throw error
  }
  return files
}

/** Node's own `recursive` never returns where the kernel answers ENOENT whatever there is, as in /proc. */
function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return
  if (folder !== path.dirname(folder)) makeFolder(path.dirname(folder))
  mkdirSync(folder)
}

function writePieces(file: string, pieces: Pieces): void {
  const descriptor = openSync(file, 'w')
  try {
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
    }
  } finally {
    closeSync(descriptor)
  }
}
