// Explanations -> standard output.
import { styleText } from 'node:util'
import { describeExplanations } from '../explain/document.ts'
import type { Explanation } from '../explain/explain.ts'
import { countSeverity, type Finding, type FindingSeverity, SEVERITIES } from '../explain/finding.ts'
import { type PrintOptions, printExplanation, printFinding } from '../explain/print.ts'
import type { ExplainOptions } from './explain-options.ts'
import { type OutputStream, wantsColour } from './streams.ts'
import { printable } from './terminal.ts'
import { count } from './words.ts'
import { writeOut } from './write-out.ts'

const WIDTH = 100
const LEAST_WIDTH = 60
const COLOURS = { error: 'red', warning: 'yellow', notice: 'cyan' } as const

export interface Found {
  readonly explanations: readonly Explanation[]
  /** What the node suffers from, whatever the Service; of one Service it is among its findings. */
  readonly node: readonly Finding[]
  /** One Service was asked for. */
  readonly isOne: boolean
}

/** @throws Failure when it can't be written. */
export async function writeExplanations(found: Found, options: ExplainOptions, stream: OutputStream): Promise<void> {
  if (options.output === 'text') {
    const text = found.isOne ? printOne(found, stream) : printMany(found, options, stream)
    return writeOut(
      `${text
        .split('\n')
        .map((line) => paint(printable(line), stream))
        .join('\n')}\n`,
      stream,
    )
  }
  const document = describeExplanations(found.explanations, found.node)
  if (options.output === 'json') return writeOut(`${JSON.stringify(document, undefined, 2)}\n`, stream)
  const { stringify } = await import('yaml')
  return writeOut(stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 }), stream)
}

function printOptions(stream: OutputStream): PrintOptions {
  const width = stream.isTTY === true ? Math.max(Math.min(stream.columns ?? WIDTH, WIDTH), LEAST_WIDTH) : WIDTH
  return { width }
}

/** Only the word of a severity stands at the beginning of a line like this. */
function paint(line: string, stream: OutputStream): string {
  const severity = SEVERITIES.find((word) => line.startsWith(`${word} `))
  if (severity === undefined || !wantsColour(stream)) return line
  return styleText(COLOURS[severity], severity, { validateStream: false }) + line.slice(severity.length)
}

function printOne({ explanations }: Found, stream: OutputStream): string {
  const [only] = explanations
  return only === undefined ? '' : printExplanation(only, printOptions(stream))
}

/** Only Services with something to say, and a count of the others. */
function printMany({ explanations, node }: Found, { notices }: ExplainOptions, stream: OutputStream): string {
  const options = printOptions(stream)
  const isShown = ({ severity }: Finding) => severity !== 'notice' || notices === true
  const blocks = explanations.flatMap(({ header, findings }) => {
    const shown = findings.filter(isShown)
    const { ready, all } = header.endpoints
    const title = `Service ${header.namespace}/${header.name} (${header.type}, ${ready} of ${count(all, 'endpoint')} ready)`
    return shown.length === 0 ? [] : [[title, ...shown.flatMap((finding) => printFinding(finding, options))].join('\n')]
  })
  const general = node.filter(isShown).map((finding) => printFinding(finding, options).join('\n'))
  return [...general, ...blocks, summarise(explanations, node)].join('\n\n')
}

function summarise(explanations: readonly Explanation[], node: readonly Finding[]): string {
  const having = (severity: FindingSeverity) =>
    explanations.filter(({ findings }) => countSeverity(findings, severity) > 0).length
  const notices = [...node, ...explanations.flatMap(({ findings }) => findings)].filter(
    ({ severity }) => severity === 'notice',
  ).length
  return `${count(explanations.length, 'Service')}: ${having('error')} with errors, ${having('warning')} with warnings; ${count(notices, 'notice')} in all`
}
