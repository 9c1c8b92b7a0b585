// What the kernel already has of a ServicePort, as a chunk: its lines in shared chains, and the chains that these and
// its own lead to. A program that holds it in place of the compiled one leaves that ServicePort as it is.
import type { ServicePort } from '../model/service-port.ts'
import type { Chunk, Entry, OwnedChain } from './chunk.ts'
import { serviceNameInText } from './drift-finding.ts'
import { type KernelText, linesOf, ruleTextsOf } from './kernel-text.ts'
import { isSharedChain } from './link.ts'
import { isServiceChain, nameServiceChains } from './names.ts'
import type { ChainName } from './rule.ts'
import { ownerOf } from './service.ts'
import { verbatimRule } from './verbatim-rule.ts'

/** A reader of chunks: shared chains are read once for all ServicePorts that are asked for. */
export function createKeptChunks(kernel: KernelText): (servicePort: ServicePort) => Chunk {
  const lines = sharedLinesByService(kernel)
  const nat = kernel.tables.get('nat')
  return (servicePort) => {
    const entries = (lines.get(servicePort.name) ?? []).filter((line) => belongsTo(line, servicePort))
    const open: ChainName[] = [...Object.values(nameServiceChains(servicePort)), ...entries.flatMap(targetsOf)]
    const chains = new Map<ChainName, OwnedChain>()
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const chain = nat?.get(name)
      if (chain === undefined || chains.has(name) || !isServiceChain(name)) continue
      chains.set(name, { table: 'nat', name, rules: ruleTextsOf(name, chain).map(verbatimRule) })
      open.push(...targetsIn(linesOf(chain)))
    }
    return {
      owner: ownerOf(servicePort),
      chains: [...chains.values()],
      entries: entries.map(({ table, chain, text }): Entry => ({ table, chain, rule: verbatimRule(text) })),
    }
  }
}

interface SharedLine {
  readonly table: string
  readonly chain: ChainName
  readonly text: string
}

function sharedLinesByService(kernel: KernelText): ReadonlyMap<string, readonly SharedLine[]> {
  const lines = new Map<string, SharedLine[]>()
  for (const [table, chains] of kernel.tables) {
    for (const [name, chain] of chains) {
      if (!isSharedChain(table, name)) continue
      for (const text of ruleTextsOf(name, chain)) {
        const service = serviceNameInText(text)
        if (service === undefined) continue
        const known = lines.get(service)
        if (known === undefined) lines.set(service, [{ table, chain: name, text }])
        else known.push({ table, chain: name, text })
      }
    }
  }
  return lines
}

/** Ports of different protocols may have one name; the health check of any of them is TCP. */
function belongsTo({ text }: SharedLine, { protocol }: ServicePort): boolean {
  return text.includes(`-p ${protocol} `) || text.includes(' health check node port"')
}

function targetsOf({ text }: SharedLine): readonly ChainName[] {
  return targetsIn(text)
}

function targetsIn(text: string): readonly ChainName[] {
  return [...text.matchAll(/ -[jg] (KUBE-\S+)/g)].flatMap(([, target]) => target ?? [])
}
