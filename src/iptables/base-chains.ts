// The chains that every table begins with, which belong to nobody.
import type { ChainName } from './rule.ts'

const BASE_CHAINS: ReadonlySet<ChainName> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'])

export function isBaseChain(chain: ChainName): boolean {
  return BASE_CHAINS.has(chain)
}
