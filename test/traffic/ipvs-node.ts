// Loads what `sluice render --mode ipvs -o restore` prints into a node of the laboratory, in place of what was there.
import type { ToolText } from '../../src/ipvs/print-node.ts'
import type { Program } from './agent.ts'
import { type LabNode, LOCK_SECONDS } from './laboratory.ts'

/** How a text is loaded, and what is put before it so that it is the only one. */
interface Loading extends Pick<Program, 'argv' | 'says'> {
  readonly before: string
}

/** Rules go whole tables at a time. Sets can't be destroyed while rules name them, but emptied. */
const LOADING: Readonly<Record<string, Loading>> = {
  'ipset-restore': { argv: ['ipset', 'restore', '-exist'], before: 'flush\n' },
  'iptables-restore': { argv: ['iptables-restore', '--wait', LOCK_SECONDS], before: '' },
  'ip6tables-restore': { argv: ['ip6tables-restore', '--wait', LOCK_SECONDS], before: '' },
  'kube-ipvs0-addresses-restore': {
    argv: ['ip', '-force', '-batch', '-'],
    before: 'link delete kube-ipvs0\n',
    // The first time there is no device to delete; all else is done.
    says: 'Cannot find device "kube-ipvs0"\nCommand failed -:1',
  },
  'ipvsadm-restore': { argv: ['ipvsadm', '-R'], before: '-C\n' },
}

/** What each node was given last: starting a program takes time in the second kernel. */
const loaded = new WeakMap<LoadedNode, Map<string, string>>()

type LoadedNode = Pick<LabNode, 'runPrograms'>

export async function loadIpvs(node: LoadedNode, texts: readonly ToolText[]): Promise<void> {
  const before = loaded.get(node) ?? new Map<string, string>()
  loaded.set(node, before)
  const changed = texts.filter(({ name, text }) => before.get(name) !== text)
  if (changed.length === 0) return
  for (const { name } of changed) before.delete(name)
  await node.runPrograms(changed.map(toProgram))
  for (const { name, text } of changed) before.set(name, text)
}

function toProgram({ name, text }: ToolText): Program {
  const loading = LOADING[name]
  if (loading === undefined) throw new Error(`nobody knows how to load ${name}`)
  const { before, ...program } = loading
  return { ...program, stdin: `${before}${text}` }
}
