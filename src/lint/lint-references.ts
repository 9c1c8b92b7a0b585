// Jumps to chains that are not there, and chains that nobody jumps to.
import { isProxyChain } from '../compare/owners.ts'
import { isBaseChain } from '../iptables/base-chains.ts'
import { isServiceChain } from '../iptables/names.ts'
import type { ChainName } from '../iptables/rule.ts'
import { BASE_CHAIN_JUMPS } from '../iptables/static.ts'
import type { Finding } from './finding.ts'
import { type IndexedTable, placeOf, type RuleIndex } from './rule-index.ts'

export function lintReferences(index: RuleIndex): readonly Finding[] {
  return index.tables.flatMap((table) => [
    ...findMissingChains(index, table),
    ...findMissingJumps(index, table),
    ...findUnreferenced(index, table),
  ])
}

function findMissingChains(index: RuleIndex, table: IndexedTable): readonly Finding[] {
  const findings: Finding[] = []
  const isMissing = (target: ChainName | undefined): target is ChainName =>
    target !== undefined && !table.chains.has(target) && isUserChain(target)
  if (![...table.referred].some(isMissing)) return []
  for (const chain of table.chains.keys()) {
    for (const indexed of table.rulesOf(chain)) {
      const target = indexed.chain
      if (!isMissing(target)) continue
      const owner = indexed.portName ?? table.owners.get(chain)
      findings.push({
        severity: 'error',
        kind: 'missing-chain',
        ...placeOf(index, table, chain, indexed),
        ...(owner !== undefined && { owner }),
        message: `jumps to chain ${target}, which table ${table.name} does not have`,
        advice: 'the kernel can hold no such rule, so the dump is cut or edited: save the rules again',
      })
    }
  }
  return findings
}

/** Targets of extensions without options look like chains: LOG, NOTRACK, TRACE, CHECKSUM. */
function isUserChain(chain: ChainName): boolean {
  return !/^[A-Z0-9]{2,12}$/.test(chain)
}

/** Only where there is something to jump to, and in iptables mode, whose jumps these are. */
function findMissingJumps(index: RuleIndex, table: IndexedTable): readonly Finding[] {
  if (index.tables.some(({ chains }) => chains.has('KUBE-IPVS-FILTER'))) return []
  return BASE_CHAIN_JUMPS.filter((jump) => jump.table === table.name).flatMap(({ chain, rule }): readonly Finding[] => {
    const target = rule.target?.kind === 'jump' ? rule.target.chain : ''
    if (!table.chains.has(chain) || !table.chains.has(target)) return []
    if (table.rulesOf(chain).some((indexed) => indexed.chain === target)) return []
    return [
      {
        // Its one rule is for IPv4 alone.
        severity: target === 'KUBE-FIREWALL' ? 'warning' : 'error',
        kind: 'missing-jump',
        family: index.family,
        table: table.name,
        chain,
        message: `${chain} does not jump to ${target}, so its rules do nothing for this traffic`,
        advice: 'the proxy adds the jump when it next looks: check that it runs, and who removed the rule',
      },
    ]
  })
}

function findUnreferenced(index: RuleIndex, table: IndexedTable): readonly Finding[] {
  const findings: Finding[] = []
  for (const [chain, { rules }] of table.chains) {
    if (isBaseChain(chain) || table.referred.has(chain)) continue
    const owner = table.owners.get(chain)
    const place = { family: index.family, table: table.name, chain, ...(owner !== undefined && { owner }) }
    if (isServiceChain(chain)) {
      findings.push({
        severity: 'warning',
        kind: 'unreferenced-chain',
        ...place,
        message: 'no rule jumps to this chain of a Service: it is left over, or the rule that leads to it is gone',
        advice: 'a full sync of the proxy removes it or adds the rule; see sluice verify',
      })
    } else if (rules.length > 0 && !isProxyChain(chain)) {
      findings.push({
        severity: 'notice',
        kind: 'unreferenced-chain',
        ...place,
        message: `no rule jumps to this chain, so its ${rules.length === 1 ? 'rule does' : 'rules do'} nothing`,
        advice: 'remove it if nobody needs it',
      })
    }
  }
  return findings
}
