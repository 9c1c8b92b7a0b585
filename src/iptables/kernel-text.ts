// What `iptables-save` printed, cut into chains without reading their rules: a chain is a part of the text, so 172,000
// rules cost a walk over the lines and no memory beside the text itself.
import type { ChainName, TableName } from './rule.ts'

/** One family's rules as the kernel showed them. A table that is not in use does not appear. */
export interface KernelText {
  readonly tables: ReadonlyMap<TableName, KernelTable>
}

export type KernelTable = ReadonlyMap<ChainName, KernelChain>

export interface KernelChain {
  /** `ACCEPT` or `DROP`; absent for a user-defined chain. */
  readonly policy?: string
  /** Its rules are the lines of `text` from `start` to `end`, each `-A CHAIN ...` with its newline. */
  readonly text: string
  readonly start: number
  readonly end: number
}

export const NO_TABLES: KernelText = { tables: new Map() }

/** The rules of a chain as one text: lines `-A CHAIN ...`, each with its newline. */
export function linesOf(chain: KernelChain): string {
  return chain.text.slice(chain.start, chain.end)
}

/** The rules of a chain without `-A CHAIN `. */
export function ruleTextsOf(name: ChainName, chain: KernelChain): readonly string[] {
  if (chain.start === chain.end) return []
  const skip = `-A ${name} `.length
  return chain.text
    .slice(chain.start, chain.end - 1)
    .split('\n')
    .map((line) => line.slice(skip))
}

/**
 * The same text for the same chains and rules, whatever packets were counted: a pair of 32-bit FNV-1a hashes, for
 * finding out whether it is worth comparing.
 */
export function digestKernel({ tables }: KernelText): string {
  let digest = ''
  for (const [name, chains] of tables) {
    let names = FNV_START
    let rules = FNV_START
    for (const [chainName, { policy, text, start, end }] of chains) {
      names = hashPart(names, chainName, 0, chainName.length)
      if (policy !== undefined) names = hashPart(names, policy, 0, policy.length)
      rules = hashPart(rules, text, start, end)
    }
    digest += `${name} ${chains.size} ${names} ${rules} `
  }
  return digest
}

const FNV_START = 0x811c9dc5
const FNV_PRIME = 0x01000193

function hashPart(before: number, text: string, start: number, end: number): number {
  let hash = before
  for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME)
  return hash
}

/** Throws when the text ends within a table: half a dump must never be taken for the state of the kernel. */
export function readKernelText(text: string): KernelText {
  const tables = new Map<TableName, Map<ChainName, OpenChain>>()
  let table: Map<ChainName, OpenChain> | undefined
  let current: OpenChain | undefined
  let prefix = ''
  let at = 0
  while (at < text.length) {
    const newline = text.indexOf('\n', at)
    const next = newline < 0 ? text.length : newline + 1
    const first = text.charCodeAt(at)
    if (first === DASH && table !== undefined) {
      if (current === undefined || !text.startsWith(prefix, at)) {
        const name = chainNameAt(text, at)
        prefix = `-A ${name} `
        current = table.get(name) ?? declare(table, name, undefined, text)
      }
      extend(current, text, at, next)
    } else if (first === COLON && table !== undefined) {
      const [name = '', policy] = text.slice(at + 1, next).split(' ', 2)
      declare(table, name, policy === '-' ? undefined : policy, text)
    } else if (first === STAR) {
      const name = text.slice(at + 1, next).trimEnd()
      table = tables.get(name) ?? new Map<ChainName, OpenChain>()
      tables.set(name, table)
      current = undefined
    } else if (text.startsWith('COMMIT', at)) {
      table = undefined
    }
    at = next
  }
  if (table !== undefined) throw new Error('the list of rules ends inside a table: read the rules again')
  return { tables }
}

const DASH = 0x2d
const COLON = 0x3a
const STAR = 0x2a

interface OpenChain extends KernelChain {
  text: string
  start: number
  end: number
}

function declare(
  table: Map<ChainName, OpenChain>,
  name: ChainName,
  policy: string | undefined,
  text: string,
): OpenChain {
  const chain: OpenChain = { ...(policy !== undefined && { policy }), text, start: 0, end: 0 }
  table.set(name, chain)
  return chain
}

/** Rules of a chain stand together; should they ever not, they are put together in a text of their own. */
function extend(chain: OpenChain, text: string, start: number, end: number): void {
  if (chain.start === chain.end) chain.start = start
  else if (chain.text !== text || chain.end !== start) {
    chain.text = linesOf(chain) + text.slice(start, end)
    chain.start = 0
    chain.end = chain.text.length
    return
  }
  chain.end = end
}

function chainNameAt(text: string, at: number): ChainName {
  const start = at + '-A '.length
  const blank = text.indexOf(' ', start)
  const newline = text.indexOf('\n', start)
  return text.slice(start, blank >= 0 && (newline < 0 || blank < newline) ? blank : newline)
}
