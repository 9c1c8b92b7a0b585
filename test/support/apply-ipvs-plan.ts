// What the tools of IPVS mode do with a plan, done to the texts that they showed before: as little of them as plans use, and
// nothing of the code that makes plans.
import { canonicalise, parseSave, printSave } from '../../src/index.ts'
import { applyRestore } from './apply-restore.ts'

export const IPVS_SAVES = [
  'iptables-save',
  'ip6tables-save',
  'ipset-save',
  'ipvsadm-save',
  'kube-ipvs0-addresses',
] as const

type Texts = Map<string, string>

/**
 * The texts after the plans, in canonical form. Real servers of weight 0 only finish their connections, and are left out.
 * Throws for a command that the tool would refuse.
 */
export function applyPlans(before: ReadonlyMap<string, string>, plans: readonly string[]): Texts {
  const texts = new Map(before)
  for (const plan of plans) {
    for (const part of plan.split(/^# /m).slice(1)) {
      const [tool = ''] = part.split('\n', 1)
      const payload = part.slice(tool.length + 1)
      const lines = payload.split('\n').filter((line) => line !== '')
      if (tool === 'iptables-restore') restoreRules(texts, 'iptables-save', payload)
      else if (tool === 'ip6tables-restore') restoreRules(texts, 'ip6tables-save', payload)
      else if (tool === 'ipset restore') change(texts, 'ipset-save', lines, applySetLine)
      else if (tool === 'ip -batch') change(texts, 'kube-ipvs0-addresses', lines, applyAddressLine)
      else if (tool === 'ipvsadm -R') change(texts, 'ipvsadm-save', lines, applyServerLine)
      else throw new Error(`${tool} is no tool`)
    }
  }
  return texts
}

function restoreRules(texts: Texts, name: 'iptables-save' | 'ip6tables-save', payload: string): void {
  const { ruleset } = parseSave(texts.get(name) ?? '', name === 'iptables-save' ? 'ipv4' : 'ipv6')
  texts.set(name, printSave(canonicalise(applyRestore(ruleset, payload))))
}

/** Lines of the text, which stay sorted within their blocks. */
function change(
  texts: Texts,
  name: string,
  lines: readonly string[],
  apply: (all: Set<string>, line: string) => void,
): void {
  const all = new Set((texts.get(name) ?? '').split('\n').filter((line) => line !== ''))
  for (const line of lines) apply(all, line)
  const kept = [...all].filter((line) => !line.endsWith(' -w 0'))
  texts.set(
    name,
    kept
      .toSorted((a, b) => (blockKey(a, all) < blockKey(b, all) ? -1 : 1))
      .map((line) => `${line}\n`)
      .join(''),
  )
}

/** The heading line of its block, and then itself. */
function blockKey(line: string, all: ReadonlySet<string>): string {
  const [verb, ...words] = line.split(' ')
  if (verb === 'add') return `${words[0]} add ${words[1]}`
  if (verb === 'create') return `${words[0]} `
  if (verb !== '-a') return line
  const service = words.slice(0, words.indexOf('-r')).join(' ')
  return `${[...all].find((each) => each.startsWith(`-A ${service} `))}\n${line}`
}

function applySetLine(all: Set<string>, line: string): void {
  const [, verb, set, entry] = /^(add|del) (\S+) (\S+) -exist$/.exec(line) ?? []
  if (verb === undefined || ![...all].some((each) => each.startsWith(`create ${set} `))) throw refused(line)
  if (verb === 'add') all.add(`add ${set} ${entry}`)
  else all.delete(`add ${set} ${entry}`)
}

function applyAddressLine(all: Set<string>, line: string): void {
  const [, verb, address] = /^address (replace|delete) (\S+) dev kube-ipvs0$/.exec(line) ?? []
  if (address === undefined) throw refused(line)
  if (verb === 'replace') all.add(address)
  else if (!all.delete(address)) throw refused(line)
}

function applyServerLine(all: Set<string>, line: string): void {
  const [, verb, service, real, options] = /^-([AEDaed]) (\S+ \S+)(?: -r (\S+))?(?: (-.*))?$/.exec(line) ?? []
  const there = [...all].filter((each) => `${each} `.startsWith(`-A ${service} `))
  const realThere = [...all].filter((each) => `${each} `.startsWith(`-a ${service} -r ${real} `))
  const isNew = verb === 'A' || (verb === 'a' && realThere.length === 0)
  if ((verb !== 'A') !== (there.length === 1)) throw refused(line)
  if (real !== undefined && !isNew && realThere.length !== 1) throw refused(line)
  if (verb === 'a' && !isNew) throw refused(line)
  if (verb === 'A' || verb === 'a') all.add(line)
  if (verb === 'D') for (const each of all) if (each.includes(` ${service} `)) all.delete(each)
  if (verb === 'E') replace(all, there, `-A ${service} ${options}`)
  if (verb === 'e') replace(all, realThere, `-a ${service} -r ${real} ${options}`)
  if (verb === 'd') for (const each of realThere) all.delete(each)
}

function replace(all: Set<string>, old: readonly string[], line: string): void {
  for (const each of old) all.delete(each)
  all.add(line)
}

function refused(line: string): Error {
  return new Error(`refused: ${line}`)
}
