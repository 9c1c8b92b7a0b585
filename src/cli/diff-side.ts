// One side of a comparison: what it was called on the command line -> its rules as text.
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { Readable } from 'node:stream'
import { text as readStream } from 'node:stream/consumers'
import type { IpvsSide } from '../compare/ipvs-side.ts'
import { mergeRuleTexts, type RuleText, readRuleText, textOfRuleset } from '../compare/rule-text.ts'
import type { Ruleset } from '../iptables/rule.ts'
import { FAMILIES, type Family } from '../model/address.ts'
import type { ProxyMode } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import { Failure } from './failure.ts'
import { ipvsSidesOf } from './ipvs-sides.ts'
import { reasonOf } from './read-text.ts'
import { modeOfRules, type RuleSource, type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import type { InputStream, Streams } from './streams.ts'
import type { Terminal } from './terminal.ts'

export interface Side {
  readonly label: string
  /** Compiled from objects, so that it has no rules of others. */
  readonly compiled: boolean
  readonly mode: ProxyMode
  readonly families: ReadonlyMap<Family, RuleText>
  /** In IPVS mode. */
  readonly ipvs?: ReadonlyMap<Family, IpvsSide>
  readonly issues: readonly Issue[]
}

export type SideKind = 'manifests' | 'dump' | 'cluster' | 'live'

/** Where a side comes from; standard input is read, and given back as a stream. */
export interface NamedSide {
  readonly kind: SideKind
  readonly path: string
  readonly streams: Streams
}

/** @throws Failure for a path that can't be read. */
export async function nameSide(given: string, streams: Streams): Promise<NamedSide> {
  if (given === 'cluster' || given === 'live') return { kind: given, path: given, streams }
  if (given === '-') {
    const text = await readStream(streams.stdin)
    const stdin: InputStream = Readable.from([Buffer.from(text)])
    return { kind: isDump(text.slice(0, HEAD_BYTES)) ? 'dump' : 'manifests', path: '-', streams: { ...streams, stdin } }
  }
  return { kind: kindOfPath(given), path: given, streams }
}

/** @throws Failure for rules that can't be read. */
export async function readSide(named: NamedSide, options: RuleSourceOptions, terminal: Terminal): Promise<Side> {
  if (named.kind === 'dump') return readDumpSide(named, options.family, terminal)
  const from: RuleSourceOptions =
    named.kind === 'manifests'
      ? withoutCluster({ ...options, filename: [named.path] })
      : named.kind === 'live'
        ? withoutCluster({ ...options, live: true })
        : options
  const source = await readRuleSource(from, named.streams, terminal)
  return {
    label: source.label,
    compiled: source.programs !== undefined || source.states !== undefined,
    mode: source.mode,
    families: textsOf(source),
    ...(source.mode === 'ipvs' && { ipvs: ipvsSidesOf(source) }),
    issues: source.issues,
  }
}

function textsOf(source: RuleSource): ReadonlyMap<Family, RuleText> {
  return new Map([...source.families].map(([family, ruleset]) => [family, ruleTextOf(source, ruleset)]))
}

/** The rules of one family of a source, as saved where that will do. `beside` is what they will be compared with. */
export function ruleTextOf({ texts }: RuleSource, ruleset: Ruleset, beside?: RuleText): RuleText {
  return texts?.get(ruleset.family) ?? textOfRuleset(ruleset, beside)
}

/** Undefined for none, and for texts with counters or anything else that is to be parsed. */
function plainText(texts: readonly string[], family: Family): RuleText | undefined {
  const plain = texts.flatMap((text) => readRuleText(text, family) ?? [])
  const tables = plain.flatMap((text) => [...text.tables.keys()])
  return plain.length > 0 && plain.length === texts.length && new Set(tables).size === tables.length
    ? mergeRuleTexts(family, plain)
    : undefined
}

/** Options of the cluster may be there for the other side. */
function withoutCluster(options: RuleSourceOptions): RuleSourceOptions {
  const { kubeconfig: _, context: __, master: ___, ...rest } = options
  return rest
}

/** Not parsed: rules that are the same on both sides never need to be. */
async function readDumpSide(named: NamedSide, family: Family | undefined, terminal: Terminal): Promise<Side> {
  const { labelOfDump, parseParts, readDumpParts } = await import('./rule-source-dump.ts')
  const parts = await readDumpParts([named.path], named.streams.stdin, terminal)
  const label = labelOfDump([named.path])
  const beside = parseParts(
    parts.filter(({ kind }) => kind !== 'rules'),
    label,
  )
  const families = new Map<Family, RuleText>()
  for (const of of FAMILIES) {
    const own = parts.filter((part) => part.kind === 'rules' && part.family === of)
    if (own.length === 0 || (family ?? of) !== of) continue
    const plain = plainText(
      own.map(({ text }) => text),
      of,
    )
    if (plain !== undefined) {
      families.set(of, plain)
      continue
    }
    // Counters, or something that is wrong and that parsing tells of.
    const parsed = parseParts(own, label).families.get(of)
    if (parsed !== undefined) families.set(of, textOfRuleset(parsed))
  }
  const mode = modeOfRules({ ...beside, families })
  const sides = ipvsSidesOf({ ...beside, families })
  return { label, compiled: false, mode, families, ...(mode === 'ipvs' && { ipvs: sides }), issues: [] }
}

const HEAD_BYTES = 4096
const DUMP_FILE = /^(?:ip6?tables|ipset|ipvsadm).*save|\.(?:save|rules)$/

function kindOfPath(path: string): SideKind {
  try {
    if (!statSync(path).isDirectory()) return isDump(readHead(path)) ? 'dump' : 'manifests'
    const names = readdirSync(path)
    const hasManifests = names.some((name) => /\.(?:ya?ml|json)$/.test(name) && !/^(?:config|host)\./.test(name))
    return !hasManifests && names.some((name) => DUMP_FILE.test(name)) ? 'dump' : 'manifests'
  } catch (error) {
    throw new Failure(`${path}: ${reasonOf(error)}`)
  }
}

function readHead(path: string): string {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(HEAD_BYTES)
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, HEAD_BYTES, 0))
  } finally {
    closeSync(file)
  }
}

/** What tools print that show rules in another form: reading it as a dump tells what to give instead. */
const LISTING = /^(?:table (?:ip6?|inet|arp|bridge|netdev) \S|add table |flush ruleset|IP Virtual Server |Name: \S+$)/

/** Whether text begins as a dump: with a table, a set or a virtual server behind comments. */
function isDump(head: string): boolean {
  const first = head.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#')) ?? ''
  return (
    /^\*[a-z]+\s*$|^:\S+ \S+|^-[Aa] \S+|^(?:create|add) \S+ \S|^Chain \S+ \(/.test(first) ||
    LISTING.test(first) ||
    head.startsWith('# Generated by ip')
  )
}
