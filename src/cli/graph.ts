// `sluice graph`: the rules of Services, or a packet's way, as a picture.
import { describeVerdict } from '../packet/describe-trace.ts'
import { isLocal } from '../packet/network.ts'
import { originOf } from '../packet/origin.ts'
import type { Trace } from '../packet/trace.ts'
import { lightOf } from '../picture/light.ts'
import { type LitPicture, MERMAID_LIMITS, printMermaid } from '../picture/mermaid.ts'
import { createSketch, type Light } from '../picture/picture.ts'
import type { PortPicture } from '../picture/port-picture.ts'
import type { PortPictures } from '../picture/port-pictures.ts'
import { printSvg, READABLE_NODES } from '../picture/svg.ts'
import { drawWay } from '../picture/way-picture.ts'
import { EXIT, Failure } from './failure.ts'
import { picturesOf } from './graph-rules.ts'
import { isSelected, readSelection, refuseUnknown, type Selection, servicesWithoutRules } from './graph-selection.ts'
import { type RuleSource, type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import type { Streams } from './streams.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { assumeLocal, networkFor, simulatorFor } from './trace-network.ts'
import { readPacket } from './trace-packet.ts'
import { count } from './words.ts'
import { writeOut } from './write-out.ts'

export interface GraphOptions extends RuleSourceOptions {
  readonly namespace?: string
  readonly allNamespaces?: true
  readonly packet?: string
  readonly from?: string
  readonly output: 'mermaid' | 'svg' | 'html'
}

interface TracedPacket {
  readonly trace: Trace
  /** Its destination is an address of the node. */
  readonly isToNode: boolean
}

/** Returns the exit code. @throws Failure for words that make no sense, and unreadable input. */
export async function graph(word: string | undefined, given: GraphOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  const { name, options } = readWord(word, given)
  const selection = readSelection(name, options)
  checkOptions(options, streams)
  const source = await readRuleSource(options, streams, terminal)
  const text = await draw(source, selection, options, terminal)
  terminal.report(source.issues)
  terminal.clear()
  await writeOut(text, streams.stdout)
  return EXIT.ok
}

/** A packet may stand in place of the Service, as for sluice trace: no name has an arrow. */
function readWord(
  word: string | undefined,
  options: GraphOptions,
): { readonly name?: string; readonly options: GraphOptions } {
  if (word?.includes('->') !== true) return { ...(word !== undefined && { name: word }), options }
  if (options.packet !== undefined) throw new Failure(`two packets: leave out '${word}', or --packet`)
  return { options: { ...options, packet: word } }
}

function checkOptions({ packet, from, output }: GraphOptions, { stdout }: Streams): void {
  if (from !== undefined && packet === undefined) throw new Failure('--from is of a packet: give --packet too')
  if (output !== 'html') return
  if (packet !== undefined) throw new Failure('-o html shows every way by itself: leave out the packet, or draw svg')
  if (stdout.isTTY === true)
    throw new Failure('-o html is a page for a browser: write it into a file, as in > page.html')
}

async function draw(
  source: RuleSource,
  selection: Selection,
  options: GraphOptions,
  terminal: Terminal,
): Promise<string> {
  const families = picturesOf(source, terminal)
  const ports = families.flatMap((pictures) => pictures.ports)
  const without = servicesWithoutRules(ports, source.snapshot)
  refuseUnknown(selection, [...ports.map(({ service }) => service), ...without.keys()])
  if (options.output === 'html') {
    const { drawPage } = await import('./graph-page.ts')
    return drawPage(source, families, { selection, without, host: options.host }, terminal)
  }
  const traced = options.packet === undefined ? undefined : tracePacket(options.packet, source, options, terminal)
  const pictures =
    selection.kind === 'none' && traced !== undefined
      ? [{ picture: drawWay(traced.trace) }]
      : [...drawPorts(families, selection, traced), ...drawWithout(without, selection)]
  if (
    traced !== undefined &&
    !pictures.some((one: LitPicture) => one.light !== undefined) &&
    selection.kind !== 'none'
  ) {
    terminal.say('the packet is for no address of what is drawn: its way is not on the picture')
  }
  sayTooMuch(pictures, options.output, terminal)
  const title = options.packet ?? `Services of ${source.label}`
  return options.output === 'svg' ? printSvg(pictures, title) : limited(printMermaid(pictures), terminal)
}

function drawPorts(
  families: readonly PortPictures[],
  selection: Selection,
  traced: TracedPacket | undefined,
): readonly LitPicture[] {
  return families.flatMap(({ family, ports, draw: drawPort }) =>
    ports
      .filter(({ service }) => isSelected(selection, service))
      .map((rules) => {
        const picture = drawPort(rules)
        const light = traced?.trace.packet.family === family ? lightFor(picture, traced) : undefined
        return { picture, ...(light && { light }) }
      }),
  )
}

/** Undefined when the packet is for none of its entrances. */
function lightFor(picture: PortPicture, { trace: traced, isToNode }: TracedPacket): Light | undefined {
  const { packet } = traced
  const { entrances, protocol } = picture.rules
  if (packet.protocol !== protocol) return undefined
  const asked = entrances.filter(({ port }) => port === packet.destinationPort)
  const named = asked.find(({ ip }) => ip === packet.destination)
  // The port of the node's own addresses, as far as nobody else was meant.
  const entrance = named ?? (isToNode ? asked.find(({ ip }) => ip === undefined) : undefined)
  const position = entrance === undefined ? -1 : entrances.indexOf(entrance)
  const node = picture.entrances[position]
  return node === undefined ? undefined : lightOf(traced, picture, node)
}

function drawWithout(without: ReadonlyMap<string, string>, selection: Selection): readonly LitPicture[] {
  return [...without]
    .filter(([service]) => isSelected(selection, service))
    .map(([service, why]) => {
      const sketch = createSketch()
      sketch.addNode({ kind: 'note', lines: [service, why], column: 0 })
      return { picture: sketch.finish(service) }
    })
}

function tracePacket(text: string, source: RuleSource, options: GraphOptions, terminal: Terminal): TracedPacket {
  const { packet, origin: given } = readPacket(text, source, options)
  const known = networkFor(source, packet.family, options.host)
  const assumed = assumeLocal(packet, given, known, source)
  if (assumed !== undefined) terminal.say(assumed.note)
  const network = assumed?.network ?? known
  const traced = simulatorFor(source, packet.family)(packet, given ?? originOf(network, packet.source), network)
  for (const verdict of describeVerdict(traced)) terminal.say(verdict)
  return { trace: traced, isToNode: isLocal(network, packet.destination) }
}

function sayTooMuch(pictures: readonly LitPicture[], output: string, terminal: Terminal): void {
  const nodes = pictures.reduce((sum, { picture }) => sum + picture.nodes.length, 0)
  if (nodes > READABLE_NODES) {
    terminal.say(
      `${output}: ${count(nodes, 'box', 'boxes')} are more than a person can read: -o html lets one search and pick`,
    )
  }
}

/** GitHub and others draw no more than this. */
function limited(text: string, terminal: Terminal): string {
  const edges = text.split(' -->').length - 1
  if (edges > MERMAID_LIMITS.edges || text.length > MERMAID_LIMITS.characters) {
    terminal.say(
      `mermaid: most programs draw up to ${MERMAID_LIMITS.edges} arrows and ${MERMAID_LIMITS.characters} characters, and these are ${edges} and ${text.length}: draw one Service, or -o html`,
    )
  }
  return text
}
