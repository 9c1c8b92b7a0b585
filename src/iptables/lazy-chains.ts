// The chains of a change, of which only the names are kept, and the bytes of their rules: the rules themselves are
// compiled again when they are asked for, one ServicePort at a time. All rules of 10,000 Services at once would take more
// memory than the rest of the program.
import type { ServicePort } from '../model/service-port.ts'
import type { Chunk, OwnedChain } from './chunk.ts'
import { printRuleLine } from './print-rule.ts'
import { chunkOf, type Program } from './program.ts'
import type { PrintedRules } from './restore.ts'
import type { ChainName, Rule } from './rule.ts'
import { createTextWriter } from './text-writer.ts'

/** Chains of ServicePorts of the program by name, and chains whose rules are at hand. */
export interface LazyChains extends ReadonlyMap<ChainName, readonly Rule[]> {
  /** `text`: all lines of the chain, each with its newline. No chain may be added twice. */
  readonly addOwned: (chain: OwnedChain, servicePort: ServicePort, text: string) => void
  readonly set: (name: ChainName, rules: readonly Rule[]) => void
  readonly printed: PrintedRules
}

export function createLazyChains(program: Program): LazyChains {
  const sources = new Map<ChainName, ServicePort | readonly Rule[]>()
  const read = createChunkReader(program)
  const text = createTextWriter()
  let printedRules = 0
  const rulesFrom = (name: ChainName, source: ServicePort | readonly Rule[]): readonly Rule[] => {
    if (isRules(source)) return source
    return read(source).find((chain) => chain.name === name)?.rules ?? []
  }
  function* values(): MapIterator<readonly Rule[]> {
    for (const [name, source] of sources) yield rulesFrom(name, source)
  }
  function* entries(): MapIterator<[ChainName, readonly Rule[]]> {
    for (const [name, source] of sources) yield [name, rulesFrom(name, source)]
  }
  const chains: LazyChains = {
    get size() {
      return sources.size
    },
    has: (name) => sources.has(name),
    get: (name) => {
      const source = sources.get(name)
      return source === undefined ? undefined : rulesFrom(name, source)
    },
    keys: () => sources.keys(),
    values,
    entries,
    [Symbol.iterator]: entries,
    forEach: (visit) => {
      for (const [name, rules] of entries()) visit(rules, name, chains)
    },
    addOwned: ({ name, rules }, servicePort, lines) => {
      sources.set(name, servicePort)
      text.write(lines)
      printedRules += rules.length
    },
    set: (name, rules) => {
      sources.set(name, rules)
      const start = `-A ${name}`
      for (const rule of rules) text.write(`${printRuleLine(start, rule, program.family)}\n`)
      printedRules += rules.length
    },
    printed: {
      text,
      get rules() {
        return printedRules
      },
    },
  }
  return chains
}

function isRules(source: ServicePort | readonly Rule[]): source is readonly Rule[] {
  return Array.isArray(source)
}

/** Remembers the last ServicePort: the chains of one are asked for one after the other. */
function createChunkReader(program: Program): (servicePort: ServicePort) => readonly OwnedChain[] {
  let last: { readonly servicePort: ServicePort; readonly chunk: Chunk } | undefined
  return (servicePort) => {
    if (last?.servicePort !== servicePort) last = { servicePort, chunk: chunkOf(program, servicePort) }
    return last.chunk.chains
  }
}
