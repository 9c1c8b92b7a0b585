// `sluice diff A --migrate MODE`: what changes for whom.
import { styleText } from 'node:util'
import { describeMigration, type MigrationReport } from '../compare/migrate.ts'
import type { Migration } from '../compare/migration.ts'
import { type DiffOptions, optionsOfSide } from './diff-options.ts'
import { nameSide } from './diff-side.ts'
import { EXIT, Failure } from './failure.ts'
import { type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import { type OutputStream, type Streams, wantsColour } from './streams.ts'
import { createTerminal, printable } from './terminal.ts'
import { count } from './words.ts'
import { writeOut } from './write-out.ts'

const FROM: Readonly<Record<Migration, string>> = { ipvs: 'iptables mode', iptables: 'IPVS mode', sluice: 'kube-proxy' }
const TO: Readonly<Record<Migration, string>> = { ipvs: 'IPVS mode', iptables: 'iptables mode', sluice: 'sluice' }

/** Returns the exit code: 1 when something changes. @throws Failure when A is no manifests and no cluster. */
export async function migrate(a: string, to: Migration, options: DiffOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  const named = await nameSide(a, streams)
  if (named.kind === 'dump' || named.kind === 'live') {
    throw new Failure(`${a}: --migrate needs the objects, which rules don't tell: give manifests, or cluster`)
  }
  // The mode that is left or entered is known; what Services come to is the same in both.
  const base: RuleSourceOptions = { ...optionsOfSide(options, 'A'), mode: 'iptables' }
  const source = await readRuleSource(
    named.kind === 'manifests' ? { ...base, filename: [named.path] } : base,
    named.streams,
    terminal,
  )
  terminal.report(source.issues)
  const { config } = source
  if (config === undefined) throw new Failure(`${a}: there is no configuration to look at`)
  const inputs = [...(source.programs?.values() ?? [])].map(({ servicePorts, settings }) => ({
    servicePorts,
    settings,
    config,
  }))
  const report = limit(describeMigration(to, inputs), options)
  terminal.clear()
  await writeOut(
    options.output === 'json' ? printJson(report, to, source.label) : printText(report, to, streams.stdout),
    streams.stdout,
  )
  const changes = report.general.length + report.services.size
  terminal.say(`${FROM[to]} -> ${TO[to]}: ${count(report.services.size, 'Service')} with changes of their own`)
  return changes === 0 ? EXIT.ok : EXIT.problems
}

function limit(report: MigrationReport, { namespace, service }: DiffOptions): MigrationReport {
  if (namespace === undefined && service === undefined) return report
  const wanted = [...report.services].filter(
    ([key]) => service?.includes(key) === true || key.split('/', 1)[0] === namespace,
  )
  return { ...report, services: new Map(wanted) }
}

function* printText(report: MigrationReport, to: Migration, stdout: OutputStream): Generator<string> {
  const bold = wantsColour(stdout)
  const heading = (text: string) =>
    `# ${bold ? styleText('bold', printable(text), { validateStream: false }) : printable(text)}\n`
  const lines = (texts: readonly string[]) => texts.map((text) => `${printable(text)}\n`).join('')
  if (report.general.length > 0) yield heading(`every Service, ${FROM[to]} -> ${TO[to]}`) + lines(report.general)
  for (const [service, statements] of report.services) yield heading(`Service ${service}`) + lines(statements)
  yield heading('left behind') + lines(report.left)
}

function printJson({ general, services, left }: MigrationReport, to: Migration, source: string): string {
  const document = {
    apiVersion: 'sluice/v1',
    kind: 'Migration',
    source,
    to,
    general,
    services: [...services].map(([service, statements]) => ({ service, statements })),
    left,
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}
