// `sluice diff`: two sides' rules, compared by Service.
import { styleText } from 'node:util'
import { compareRules } from '../compare/compare.ts'
import { compareIpvs } from '../compare/compare-ipvs.ts'
import { explainIpvs } from '../compare/ipvs-words.ts'
import { mergeDifferences, mergeStatements, type NodeDifference } from '../compare/merge.ts'
import type { Group } from '../compare/owners.ts'
import { type LineKind, type ShownLine, showGroup, showStatements } from '../compare/print-difference.ts'
import type { RuleText } from '../compare/rule-text.ts'
import { explainDifferences, type SemanticDifference } from '../compare/semantic.ts'
import { FAMILIES, type Family } from '../model/address.ts'
import { type DiffOptions, hasOwnB, optionsOfSide } from './diff-options.ts'
import { nameSide, readSide, type Side } from './diff-side.ts'
import { EXIT, Failure } from './failure.ts'
import { type OutputStream, type Streams, wantsColour } from './streams.ts'
import { createTerminal, printable, type Terminal } from './terminal.ts'
import { count } from './words.ts'
import { writeOut } from './write-out.ts'

/** Returns the exit code: 0 for no difference, 1 for some. @throws Failure for what can't be read or compared. */
export async function diff(a: string, b: string | undefined, options: DiffOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  if (options.migrate !== undefined) {
    if (b !== undefined) throw new Failure('--migrate compares A with itself in another mode: leave out B')
    const { migrate } = await import('./migrate.ts')
    return migrate(a, options.migrate, options, streams)
  }
  const sides = await readSides(a, b, options, streams, terminal)
  checkModes(sides)
  const compared = FAMILIES.flatMap((family): readonly ComparedFamily[] => {
    const before = sides.a.families.get(family)
    const after = sides.b.families.get(family)
    return before === undefined || after === undefined ? [] : [compareFamily(before, after, sides, options)]
  })
  sayUncompared(sides, terminal)
  if (compared.length === 0) {
    throw new Failure(`${sides.a.label} and ${sides.b.label} have no IP family in common: there is nothing to compare`)
  }
  terminal.clear()
  const { stdout } = streams
  const labels = distinctLabels(sides)
  await writeOut(
    options.output === 'json' ? printJson(compared, labels) : printText(compared, labels, options, stdout),
    stdout,
  )
  const differing = compared.reduce((sum, family) => sum + countOf(family), 0)
  const what = options.semantic === true ? 'with another effect' : 'with other rules'
  terminal.say(differing === 0 ? 'no difference' : `${count(differing, 'group')} of rules ${what}`)
  return differing === 0 ? EXIT.ok : EXIT.problems
}

interface Sides {
  readonly a: Side
  readonly b: Side
}

interface ComparedFamily {
  readonly family: Family
  readonly groups: readonly NodeDifference[]
  /** With --semantic. */
  readonly statements?: readonly SemanticDifference[]
}

async function readSides(
  a: string,
  b: string | undefined,
  options: DiffOptions,
  streams: Streams,
  terminal: Terminal,
): Promise<Sides> {
  if (options.filename.length > 0 || options.dump !== undefined)
    throw new Failure('name the sides as arguments, without -f')
  if (b === undefined && !hasOwnB(options)) {
    throw new Failure('with what? Give a second side, or what is other there, such as --node-b NAME or --config-b FILE')
  }
  if (a === '-' && b === '-') throw new Failure('both sides are standard input: give one of them a file')
  const namedA = await nameSide(a, streams)
  const namedB = b === undefined ? namedA : await nameSide(b, streams)
  if (b === undefined && (namedA.kind === 'dump' || namedA.kind === 'live' || a === '-')) {
    throw new Failure(`${a}: its rules are what they are: give a second side`)
  }
  const sides = {
    a: await readSide(namedA, optionsOfSide(options, 'A'), terminal),
    b: await readSide(namedB, optionsOfSide(options, 'B'), terminal),
  }
  terminal.report(sides.a.issues)
  if (b !== undefined) terminal.report(sides.b.issues)
  return sides
}

/** Rules of two modes have nothing in common. */
function checkModes({ a, b }: Sides): void {
  if (a.mode === b.mode) return
  throw new Failure(
    `${a.label} has the rules of ${a.mode} mode and ${b.label} those of ${b.mode} mode, which have little in common: sluice diff MANIFESTS --migrate ${b.mode} says what changes for whom, and --mode-a or --mode-b makes both sides of one mode`,
  )
}

function compareFamily(before: RuleText, after: RuleText, { a, b }: Sides, options: DiffOptions): ComparedFamily {
  const { family } = before
  const foreign = !a.compiled && !b.compiled
  const wanted = ({ group }: { readonly group: Group }) => isWanted(group, options)
  const rules = compareRules(before, after, { foreign })
  const one = a.ipvs?.get(family)
  const other = b.ipvs?.get(family)
  const ipvs = one === undefined || other === undefined ? [] : compareIpvs(one, other, { foreign })
  const groups = mergeDifferences(rules, ipvs).filter(wanted)
  if (options.semantic !== true) return { family, groups }
  const ofRules = explainDifferences(before, after, rules.filter(wanted))
  const ofIpvs = one === undefined || other === undefined ? [] : explainIpvs(one, other, ipvs.filter(wanted))
  return { family, groups, statements: mergeStatements(ofRules, ofIpvs).filter(wanted) }
}

function isWanted(group: Group, { namespace, service }: DiffOptions): boolean {
  if (namespace === undefined && service === undefined) return true
  if (group.kind !== 'service') return false
  return service?.includes(group.service) === true || group.service.split('/', 1)[0] === namespace
}

function countOf({ groups, statements }: ComparedFamily): number {
  return statements === undefined ? groups.length : statements.length
}

/** A family that only one side has is not compared, and nobody should think that it is the same. */
function sayUncompared({ a, b }: Sides, terminal: Terminal): void {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const family of one.families.keys()) {
      const there = other.ipvs?.get(family)
      const own = one.ipvs?.get(family)
      if (own?.knowsServers === true && there?.knowsServers === false)
        terminal.say(`not compared: ${family} virtual servers, which ${other.label} does not have`)
      if (own?.knowsSets === true && there?.knowsSets === false)
        terminal.say(`not compared: ${family} sets, which ${other.label} does not have`)
      if (own?.addresses !== undefined && there !== undefined && there.addresses === undefined)
        terminal.say(`not compared: ${family} addresses of kube-ipvs0, which ${other.label} does not have`)
      if (!other.families.has(family)) terminal.say(`not compared: ${family}, which ${other.label} does not have`)
    }
  }
}

interface DistinctLabels {
  readonly before: string
  readonly after: string
}

function distinctLabels({ a, b }: Sides): DistinctLabels {
  return a.label === b.label
    ? { before: `${a.label} (A)`, after: `${b.label} (B)` }
    : { before: a.label, after: b.label }
}

function* printText(
  compared: readonly ComparedFamily[],
  labels: DistinctLabels,
  options: DiffOptions,
  stdout: OutputStream,
): Generator<string> {
  const paint = wantsColour(stdout) ? painted : (line: ShownLine) => printable(line.text)
  for (const { family, groups, statements } of compared) {
    const shown =
      options.semantic === true
        ? (statements ?? []).map((statement) => showStatements(statement, family))
        : groups.map((group) => showGroup(group, family, labels))
    for (const lines of shown) yield `${lines.map(paint).join('\n')}\n`
  }
}

const COLOURS: Readonly<Record<LineKind, Parameters<typeof styleText>[0] | undefined>> = {
  heading: 'bold',
  file: 'dim',
  hunk: 'cyan',
  added: 'green',
  removed: 'red',
  same: undefined,
}

function painted({ kind, text }: ShownLine): string {
  const colour = COLOURS[kind]
  return colour === undefined ? printable(text) : styleText(colour, printable(text), { validateStream: false })
}

function* printJson(compared: readonly ComparedFamily[], labels: DistinctLabels): Generator<string> {
  const families = compared.map(({ family, groups, statements }) => ({
    family,
    groups,
    ...(statements && { statements }),
  }))
  const same = compared.every((family) => countOf(family) === 0)
  const document = { apiVersion: 'sluice/v1', kind: 'RuleDifference', ...labels, same, families }
  yield `${JSON.stringify(document, undefined, 2)}\n`
}
