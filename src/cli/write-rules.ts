// Rules -> standard output, or files of a folder.
import { closeSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'
import { DOCUMENT_VERSION, describeRules, type FamilyRules, type RuleDocument } from '../iptables/document.ts'
import { link, linkServices } from '../iptables/link.ts'
import { printSave } from '../iptables/print.ts'
import { printServicesPayload, writePayload } from '../iptables/print-payload.ts'
import type { Program } from '../iptables/program.ts'
import type { Ruleset } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'
import type { NodeFacts } from '../model/node.ts'
import { Failure } from './failure.ts'
import type { OutputOptions } from './options.ts'
import { reasonOf } from './read-text.ts'
import type { OutputStream } from './streams.ts'
import { type Pieces, writeOut } from './write-out.ts'

export interface RenderedNode {
  readonly node: NodeFacts
  /** One per family. */
  readonly programs: readonly Program[]
}

export interface WriteOptions extends OutputOptions {
  readonly allNodes?: true
}

/** The names of a family's tools, which are the names of its files. */
const TOOLS: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' }
const FILE_FORMATS = ['save', 'restore'] as const
type FileFormat = (typeof FILE_FORMATS)[number]

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
function* printTexts(rendered: readonly RenderedNode[], format: FileFormat, options: WriteOptions): Pieces {
  const headed = rendered.length > 1 || options.family === undefined
  for (const { node, programs } of rendered) {
    for (const program of programs) {
      if (headed) yield `# ${node.name}: ${TOOLS[program.family]}-${format}\n`
      yield* printRules(program, format, options)
    }
  }
}

function printRules(program: Program, format: FileFormat, { service }: WriteOptions): Pieces {
  if (format === 'restore') {
    return service === undefined ? writePayload(program).blocks() : [printServicesPayload(program)]
  }
  return [printSave(rulesetOf(program, service))]
}

function rulesetOf(program: Program, service: string | undefined): Ruleset {
  return service === undefined ? link(program) : linkServices(program)
}

/** One document; with --all-nodes a list of them, also when there is one node. */
async function printModel(
  rendered: readonly RenderedNode[],
  output: 'json' | 'yaml',
  options: WriteOptions,
): Promise<string> {
  const documents = rendered.map((node) => documentOf(node, options))
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

function documentOf({ node, programs }: RenderedNode, { service }: WriteOptions): RuleDocument {
  return {
    apiVersion: DOCUMENT_VERSION,
    kind: 'NodeRules',
    node: node.name,
    mode: 'iptables',
    families: programs.map((program) => describeFamily(program, service)),
  }
}

/** A single Service names few of the node's counters, if any. */
function describeFamily(program: Program, service: string | undefined): FamilyRules {
  const described = describeRules(program, rulesetOf(program, service))
  if (service === undefined) return described
  const matches = described.tables.flatMap(({ chains }) =>
    chains.flatMap(({ rules }) => rules.flatMap((it) => it.matches)),
  )
  const named = new Set(matches.flatMap((match) => (match.kind === 'nfacct' ? match.name : [])))
  return { ...described, nfacct: described.nfacct.filter((name) => named.has(name)) }
}

/** Returns how many files were written. @throws Failure when one can't be. */
export function writeFiles(rendered: readonly RenderedNode[], folder: string, options: WriteOptions): number {
  let files = 0
  try {
    for (const { node, programs } of rendered) {
      // Names of Nodes are DNS names, so this is always a folder of its own below `folder`.
      const place = options.allNodes === true ? path.join(folder, node.name) : folder
      makeFolder(path.resolve(place))
      for (const program of programs) {
        for (const format of FILE_FORMATS) {
          writePieces(path.join(place, `${TOOLS[program.family]}-${format}`), printRules(program, format, options))
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
