// Rules -> standard output, or files of a folder.
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { stringify } from 'yaml'
import { DOCUMENT_VERSION, describeRules, type RuleDocument } from '../iptables/document.ts'
import { link, linkServices } from '../iptables/link.ts'
import { canonicalise, printSave } from '../iptables/print.ts'
import { printPayload, printServicesPayload } from '../iptables/print-payload.ts'
import type { Program } from '../iptables/program.ts'
import type { Family } from '../model/address.ts'
import type { NodeFacts } from '../model/node.ts'
import { Failure } from './failure.ts'
import type { RenderOptions } from './options.ts'

export interface RenderedNode {
  readonly node: NodeFacts
  /** One per family. */
  readonly programs: readonly Program[]
}

/** The names of a family's tools, which are the names of its files. */
const TOOLS: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' }

export async function writeRules(rendered: readonly RenderedNode[], options: RenderOptions): Promise<void> {
  if (options.out !== undefined) writeFiles(rendered, options.out, options)
  else await writeOut(printAll(rendered, options))
}

function printAll(rendered: readonly RenderedNode[], options: RenderOptions): string {
  const { output } = options
  if (output === 'save' || output === 'restore') {
    const texts = rendered.flatMap(({ node, programs }) =>
      programs.map((program) => ({ heading: `# ${node.name}: ${TOOLS[program.family]}-${output}\n`, program })),
    )
    const headed = texts.length > 1
    return texts.map(({ heading, program }) => (headed ? heading : '') + printRules(program, output, options)).join('')
  }
  const documents = rendered.map((node) => documentOf(node, options))
  if (output === 'yaml')
    return documents.map((document) => stringify(document, { aliasDuplicateObjects: false })).join('---\n')
  return documents.map((document) => `${JSON.stringify(document, undefined, 2)}\n`).join('')
}

function printRules(program: Program, output: 'save' | 'restore', { service }: RenderOptions): string {
  if (output === 'restore') return service === undefined ? printPayload(program) : printServicesPayload(program)
  return printSave(canonicalise(rulesetOf(program, service)))
}

function rulesetOf(program: Program, service: string | undefined) {
  return service === undefined ? link(program) : linkServices(program)
}

function documentOf({ node, programs }: RenderedNode, { service }: RenderOptions): RuleDocument {
  return {
    apiVersion: DOCUMENT_VERSION,
    kind: 'NodeRules',
    node: node.name,
    mode: 'iptables',
    families: programs.map((program) => describeRules(program, rulesetOf(program, service))),
  }
}

function writeFiles(rendered: readonly RenderedNode[], folder: string, options: RenderOptions): void {
  try {
    for (const { node, programs } of rendered) {
      const place = options.allNodes === true ? path.join(folder, node.name) : folder
      mkdirSync(place, { recursive: true })
      for (const program of programs) {
        for (const output of ['save', 'restore'] as const) {
          writeFileSync(path.join(place, `${TOOLS[program.family]}-${output}`), printRules(program, output, options))
        }
      }
    }
  } catch (error) {
    throw new Failure(`--out ${folder}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Resolves when everything is handed over; a reader that has seen enough (`| head`) is no error. */
function writeOut(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? resolve() : reject(error)))
    process.stdout.write(text, () => resolve())
  })
}
