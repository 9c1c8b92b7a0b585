// --dump: texts of iptables-save, ip6tables-save, ipset save and ipvsadm -Sn, told apart by their content, in any number
// of files, several in one file too.
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { text as readStream } from 'node:stream/consumers'
import { countRules, rulesetOf } from '../compare/lazy-ruleset.ts'
import { mergeRuleTexts, type RuleText, readRuleText } from '../compare/rule-text.ts'
import { parseSave } from '../iptables/parse.ts'
import type { Ruleset, Table, TableName } from '../iptables/rule.ts'
import { parseSavedSets, type SavedSet, type SavedSets } from '../iptables/simulate-sets.ts'
import { FAMILIES, type Family, type Ip, parseIp } from '../model/address.ts'
import { formatIssue, type Issue } from '../model/issue.ts'
import { Failure } from './failure.ts'
import { readText, reasonOf } from './read-text.ts'
import { type DumpPart, splitDump } from './rule-source-split.ts'
import type { InputStream } from './streams.ts'
import type { Terminal } from './terminal.ts'

export interface ReadDump {
  readonly label: string
  readonly families: ReadonlyMap<Family, Ruleset>
  /** Counting them by looking at them would take a second. */
  readonly ruleCounts: ReadonlyMap<Family, number>
  /** The tables as they were saved, where they have no counters: comparing texts is quicker than printing rules anew. */
  readonly texts: ReadonlyMap<Family, RuleText>
  readonly sets?: SavedSets
  readonly ipvs?: string
  /** Of kube-ipvs0. */
  readonly addresses?: ReadonlySet<Ip>
  readonly issues: readonly Issue[]
}

/** The files of a folder that `render --out` writes, or a person who saves a node's state. */
const FOLDER_FILES =
  /^(?:ip6?tables(?:-nft|-legacy)?-save|ipset-save|ipvsadm-save|kube-ipvs0-addresses|.+\.(?:rules|save|ipset|ipvsadm))(?:\.txt)?$/

const EMPTY_FILE = /(?:^|[/\\])(?:ipset-save|ipvsadm-save|kube-ipvs0-addresses)$/

/** @throws Failure for files that can't be read, are cut off, or are something else. */
export async function readDump(paths: readonly string[], stdin: InputStream, terminal: Terminal): Promise<ReadDump> {
  return parseParts(await readDumpParts(paths, stdin, terminal), labelOfDump(paths))
}

/** The texts of a dump, not parsed. @throws Failure for files that can't be read or are something else. */
export async function readDumpParts(
  paths: readonly string[],
  stdin: InputStream,
  terminal: Terminal,
): Promise<readonly DumpPart[]> {
  const parts: DumpPart[] = []
  for (const file of paths.flatMap(listFiles)) {
    terminal.progress(`reading ${file}`)
    const text = file === '-' ? await readStream(stdin) : readText(file, '--dump')
    // The device of a node without Services has none, and its tables of sets and virtual servers are empty.
    if (text.trim() === '' && EMPTY_FILE.test(file)) {
      const kind = file.endsWith('addresses') ? 'addresses' : file.endsWith('ipset-save') ? 'sets' : 'ipvs'
      parts.push({ kind, text: '', source: file, line: 1 })
    } else parts.push(...splitDump(text, file === '-' ? '<stdin>' : file))
  }
  return parts
}

export function labelOfDump(paths: readonly string[]): string {
  return paths.map((given) => (given === '-' ? '<stdin>' : given)).join(', ')
}

/** @throws Failure for text that is no rules. */
export function parseParts(parts: readonly DumpPart[], label: string): ReadDump {
  const issues: Issue[] = []
  const families = new Map<Family, Ruleset>()
  const ruleCounts = new Map<Family, number>()
  const texts = new Map<Family, RuleText>()
  for (const family of FAMILIES) {
    const ofFamily = parts.filter((part) => part.kind === 'rules' && part.family === family)
    if (ofFamily.length === 0) continue
    const read = readTables(ofFamily, family)
    issues.push(...read.issues)
    families.set(family, { family, tables: read.tables })
    ruleCounts.set(family, read.ruleCount)
    if (read.text !== undefined) texts.set(family, read.text)
  }
  const sets = new Map<string, SavedSet>()
  for (const part of parts.filter(({ kind }) => kind === 'sets')) {
    const parsed = parseSavedSets(part.text)
    issues.push(...parsed.issues.map((issue) => placed(issue, part)))
    for (const [name, set] of parsed.sets) sets.set(name, set)
  }
  const addresses = parts.filter(({ kind }) => kind === 'addresses')
  const ipvs = parts.filter(({ kind }) => kind === 'ipvs').map(({ text }) => text)
  if (issues.length > 0) throw new Failure(issues.slice(0, 20).map(formatIssue).join('\n'), issues.slice(0, 20))
  return {
    label,
    families,
    ruleCounts,
    texts,
    ...(parts.some(({ kind }) => kind === 'sets') && { sets }),
    ...(ipvs.length > 0 && { ipvs: ipvs.join('') }),
    ...(addresses.length > 0 && { addresses: new Set(addresses.flatMap(({ text }) => readAddresses(text))) }),
    issues: [],
  }
}

interface ReadTables {
  readonly tables: Ruleset['tables']
  readonly ruleCount: number
  /** Absent when a part has counters, or anything else that only parsing understands. */
  readonly text?: RuleText
  readonly issues: readonly Issue[]
}

/** The parts are of one family. */
function readTables(parts: readonly DumpPart[], family: Family): ReadTables {
  const tables = new Map<TableName, Table>()
  const texts: RuleText[] = []
  const issues: Issue[] = []
  let ruleCount = 0
  for (const part of parts) {
    const text = readRuleText(part.text, family)
    const count = text === undefined ? undefined : countRules(text)
    const parsed =
      text === undefined || count === undefined
        ? parseSave(part.text, family)
        : { ruleset: rulesetOf(text), ruleCount: count, issues: [] }
    if (text !== undefined) texts.push(text)
    issues.push(...parsed.issues.map((issue) => placed(issue, part)))
    ruleCount += parsed.ruleCount
    for (const [name, table] of parsed.ruleset.tables) {
      if (tables.has(name)) issues.push(twice(name, family, part))
      tables.set(name, table)
    }
  }
  const plain = texts.length === parts.length
  return { tables, ruleCount, issues, ...(plain && { text: mergeRuleTexts(family, texts) }) }
}

function listFiles(given: string): readonly string[] {
  if (given === '-') return [given]
  let names: readonly string[]
  try {
    if (!statSync(given).isDirectory()) return [given]
    names = readdirSync(given)
      .filter((name) => FOLDER_FILES.test(name))
      .toSorted()
  } catch (error) {
    throw new Failure(`--dump ${given}: ${reasonOf(error)}`)
  }
  if (names.length > 0) return names.map((name) => path.join(given, name))
  throw new Failure(
    `--dump ${given}: the folder has no iptables-save, ip6tables-save, ipset-save or ipvsadm-save: name the files`,
  )
}

function readAddresses(text: string): readonly Ip[] {
  return text.split('\n').flatMap((line) => parseIp(line.slice(0, Math.max(line.lastIndexOf('/'), 0))) ?? [])
}

function placed(issue: Issue, part: DumpPart): Issue {
  const line = (issue.at.line ?? 1) + part.line - 1
  return { ...issue, at: { ...issue.at, source: part.source, line } }
}

function twice(name: string, family: Family, part: DumpPart): Issue {
  const message = `table ${name} of ${family} is given twice: give the dump of one node`
  return { severity: 'error', at: { source: part.source, line: part.line }, message }
}
