// A whole Program as a payload for `iptables-restore --noflush --counters`, in named parts, one block per owner, so that
// a person can read it and load it into an empty machine.
import type { OwnedChain } from './chunk.ts'
import { INVALID_DROPPED_COUNTER, LOCALHOST_NODE_PORTS_COUNTER, NODE_PORTS } from './names.ts'
import { printRuleLine } from './print-rule.ts'
import { chunkOf, type Program } from './program.ts'
import { jumpTarget, type Rule, type TableName } from './rule.ts'
import { createTextWriter, type TextWriter, textOf } from './text-writer.ts'

/** The payload with everything that sluice wants in the kernel. */
export function printPayload(program: Program): string {
  return textOf(writePayload(program))
}

/** The same as bytes, for programs with very many rules. */
export function writePayload(program: Program): TextWriter {
  const services = printServices(program)
  const text = createTextWriter()
  text.write(nfacctPart(program))
  for (const table of ['mangle', 'filter', 'nat']) {
    const fixed = program.static.chains.filter((chain) => chain.table === table)
    if (fixed.length === 0) continue
    const first = fixed.map((chain) => ({ ...chain, rules: chain.rules.filter((rule) => !standsLast(rule)) }))
    const last = fixed.map((chain) => ({ ...chain, rules: chain.rules.filter(standsLast) }))
    text.write(`*${table}\n`)
    text.write(table === 'mangle' ? '# canary: its absence shows that somebody flushed the rules\n' : '# static\n')
    text.write(chainLines(first) + ruleLines(first, program))
    writeServices(text, services, table)
    text.write(`${ruleLines(last, program)}${jumpLines(program, table)}COMMIT\n`)
  }
  return text
}

/** The payload of the ServicePorts alone, without the fixed rules. */
export function printServicesPayload(program: Program): string {
  const services = printServices(program)
  const text = createTextWriter()
  for (const table of ['filter', 'nat']) {
    text.write(`*${table}\n`)
    writeServices(text, services, table)
    text.write('COMMIT\n')
  }
  return textOf(text)
}

/** The counters that the rules name; iptables-restore refuses a rule whose counter does not exist. */
export function nfacctObjects(program: Program): readonly string[] {
  if (!program.settings.nfacct) return []
  const inForward = program.settings.tcpBeLiberal ? [] : [INVALID_DROPPED_COUNTER]
  return program.settings.localhostNodePorts ? [...inForward, LOCALHOST_NODE_PORTS_COUNTER] : inForward
}

/** Text of all ServicePorts: their own chains by owner, and their lines in the shared chains of each table. */
interface Services {
  readonly chains: TextWriter
  readonly entries: ReadonlyMap<TableName, TextWriter>
}

/** One walk, so that each ServicePort is compiled once and its rules need not be kept. */
function printServices(program: Program): Services {
  const chains = createTextWriter()
  const entries = new Map([
    ['filter', createTextWriter()],
    ['nat', createTextWriter()],
  ])
  for (const servicePort of program.servicePorts) {
    const chunk = chunkOf(program, servicePort)
    if (chunk.chains.length > 0) {
      chains.write(`# ${chunk.owner}\n${chainLines(chunk.chains)}${ruleLines(chunk.chains, program)}`)
    }
    for (const { table, chain, rule } of chunk.entries) {
      entries.get(table)?.write(`${printRuleLine(`-A ${chain}`, rule, program.family)}\n`)
    }
  }
  return { chains, entries }
}

/** A jump to a chain that the payload has not named yet is refused by iptables-legacy, so own chains come first. */
function writeServices(text: TextWriter, services: Services, table: TableName): void {
  if (table === 'nat') text.append(services.chains)
  const entries = services.entries.get(table)
  if (entries === undefined || entries.blocks().length === 0) return
  text.write('# shared chains\n')
  text.append(entries)
}

function nfacctPart(program: Program): string {
  const objects = nfacctObjects(program)
  if (objects.length === 0) return ''
  const commands = objects.map((name) => `#   nfacct add ${name}\n`)
  return `# nfacct objects: create them first; with --features nfacct=false no rule needs them\n${commands.join('')}`
}

/** The fixed rules that stand behind those of all Services in a shared chain. */
function standsLast(rule: Rule): boolean {
  return jumpTarget(rule) === NODE_PORTS
}

function jumpLines(program: Program, table: TableName): string {
  const jumps = program.jumps.filter((jump) => jump.table === table)
  if (jumps.length === 0) return ''
  const lines = jumps.map((jump) => `${printRuleLine(`-I ${jump.chain}`, jump.rule, program.family)}\n`)
  return `# jumps from the base chains, each inserted at the top\n${lines.join('')}`
}

function chainLines(chains: readonly OwnedChain[]): string {
  return chains.map(({ name }) => `:${name} - [0:0]\n`).join('')
}

function ruleLines(chains: readonly OwnedChain[], program: Program): string {
  let text = ''
  for (const { name, rules } of chains) {
    const start = `-A ${name}`
    for (const rule of rules) text += `${printRuleLine(start, rule, program.family)}\n`
  }
  return text
}
