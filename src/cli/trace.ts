// `sluice trace`: one packet through a node's rules, or everybody's packets to one Service.
import { reachesEndpoint } from '../packet/describe-trace.ts'
import { originOf } from '../packet/origin.ts'
import { printTrace } from '../packet/print-trace.ts'
import { describeTrace } from '../packet/trace-document.ts'
import { EXIT, Failure } from './failure.ts'
import { type RuleSource, type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import type { Streams } from './streams.ts'
import { createTerminal, printable, type Terminal } from './terminal.ts'
import { traceService } from './trace-matrix.ts'
import { assumeLocal, networkFor, simulatorFor } from './trace-network.ts'
import { readPacket } from './trace-packet.ts'
import { writeOut } from './write-out.ts'

export interface TraceOptions extends RuleSourceOptions {
  readonly from?: string
  readonly inInterface?: string
  /** `namespace/name`, or a name beside --namespace */
  readonly all?: string
  readonly namespace?: string
  readonly output: 'text' | 'json' | 'yaml'
  readonly rules?: true
}

/** Returns the exit code. @throws Failure for a packet or options that make no sense, and unreadable input. */
export async function trace(text: string | undefined, options: TraceOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  checkOptions(text, options)
  const source = await readRuleSource(options, streams, terminal)
  if (source.mode === 'ipvs' && source.ipvs === undefined)
    terminal.say(
      `${source.label}: no virtual servers are known, so none is asked: give the output of ipvsadm -Sn beside the rules`,
    )
  if (options.all !== undefined) {
    const matrix = traceService(options.all, source, options)
    terminal.report(source.issues)
    await writeOut([await format(matrix.document, matrix.text, options)], streams.stdout)
    return matrix.reached ? EXIT.ok : EXIT.problems
  }
  return tracePacket(text ?? '', source, options, streams, terminal)
}

function checkOptions(text: string | undefined, options: TraceOptions): void {
  if (text === undefined && options.all === undefined) {
    throw new Failure(
      "which packet? Write one like 'tcp 203.0.113.2:40000 -> 192.168.1.63:30380', or --all NAMESPACE/SERVICE",
    )
  }
  if (text !== undefined && options.all !== undefined)
    throw new Failure('--all traces packets of its own: leave it out, or the packet')
  if (options.all !== undefined && options.from !== undefined)
    throw new Failure('--all traces from everywhere: leave out --from')
}

async function tracePacket(
  text: string,
  source: RuleSource,
  options: TraceOptions,
  streams: Streams,
  terminal: Terminal,
): Promise<number> {
  const { packet, origin: given } = readPacket(text, source, options)
  const known = networkFor(source, packet.family, options.host)
  const assumed = assumeLocal(packet, given, known, source)
  if (assumed !== undefined) terminal.say(assumed.note)
  const network = assumed?.network ?? known
  const origin = given ?? originOf(network, packet.source)
  const { inInterface } = options
  const simulate = simulatorFor(source, packet.family)
  const result = simulate(packet, inInterface === undefined ? origin : { ...origin, inInterface }, network)
  terminal.report(source.issues)
  const plain = printTrace(result, network, { rules: options.rules === true })
  await writeOut([await format(describeTrace(result, network), plain, options)], streams.stdout)
  return reachesEndpoint(result) ? EXIT.ok : EXIT.problems
}

async function format(document: unknown, text: string, { output }: TraceOptions): Promise<string> {
  switch (output) {
    case 'json':
      return `${JSON.stringify(document, undefined, 2)}\n`
    case 'yaml': {
      const { stringify } = await import('yaml')
      return stringify(JSON.parse(JSON.stringify(document)), { aliasDuplicateObjects: false })
    }
    case 'text':
      // Comments of a dump are anybody's text.
      return text.split('\n').map(printable).join('\n')
    default:
      return output satisfies never
  }
}
