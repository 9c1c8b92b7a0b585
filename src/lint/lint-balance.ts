// How endpoints are chosen: chances that add up, shares that are equal, and addresses that are endpoints.
import { serviceOfPortName } from '../compare/owners.ts'
import type { ChainName, Rule } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'
import { formatEndpoint } from '../model/address.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Finding } from './finding.ts'
import { type IndexedTable, placeOf, type RuleIndex } from './rule-index.ts'

/** Whether each endpoint of a Service, `10.0.0.1:80`, serves. */
export type KnownEndpoints = ReadonlyMap<ObjectKey, ReadonlyMap<string, boolean>>

export function endpointsOf({ services }: Snapshot, family: Family): KnownEndpoints {
  return new Map(
    services.map(({ key, slices }) => {
      const endpoints = new Map<string, boolean>()
      for (const slice of slices.filter((candidate) => candidate.family === family)) {
        for (const { port } of slice.ports) {
          for (const { ip, ready, serving } of slice.endpoints) {
            const text = formatEndpoint(ip, port)
            endpoints.set(text, endpoints.get(text) === true || ready || serving)
          }
        }
      }
      return [key, endpoints] as const
    }),
  )
}

/** `known` is absent when there is no cluster to compare with. */
export function lintBalance(index: RuleIndex, known: KnownEndpoints | undefined): readonly Finding[] {
  return index.tables
    .filter(({ name }) => name === 'nat')
    .flatMap((table) =>
      [...table.chains.keys()].flatMap((chain) => {
        if (/^KUBE-SV[CL]-/.test(chain)) return lintChances(index, table, chain)
        return chain.startsWith('KUBE-SEP-') && known !== undefined ? lintEndpoint(index, table, chain, known) : []
      }),
    )
}

/** How far a share may be from an equal one: probabilities have 31 bits. */
const TOLERANCE = 1e-3

function lintChances(index: RuleIndex, table: IndexedTable, chain: ChainName): readonly Finding[] {
  const choices = table
    .rulesOf(chain)
    .filter(
      (rule) =>
        rule.chain?.startsWith('KUBE-SEP-') === true &&
        rule.effect.rememberedSeconds === undefined &&
        rule.effect.conditions.length === 0,
    )
  const last = choices.at(-1)
  if (last === undefined) return []
  const owner = table.owners.get(chain)
  const place = { family: index.family, table: table.name, chain, ...(owner !== undefined && { owner }) }
  let left = 1
  const shares = choices.map(({ effect }) => {
    const share = left * (effect.chance ?? 1)
    left -= share
    return share
  })
  if (left > 1e-6) {
    return [
      {
        severity: 'error',
        kind: 'chances-do-not-add-up',
        ...placeOf(index, table, chain, last),
        ...place,
        message: `the chances of the endpoints leave out ${(left * 100).toFixed(2)}% of the connections, which go nowhere`,
        advice: 'the last endpoint needs a rule without a chance: have the proxy write the chain again',
      },
    ]
  }
  const equal = 1 / choices.length
  const off = shares.findIndex((share) => Math.abs(share / equal - 1) > TOLERANCE)
  if (off < 0) return []
  const indexed = choices[off] ?? last
  const percent = (share: number) => `${(share * 100).toFixed(2)}%`
  return [
    {
      severity: 'warning',
      kind: 'uneven-chances',
      ...placeOf(index, table, chain, indexed),
      ...place,
      message: `this endpoint gets ${percent(shares[off] ?? 0)} of the connections, and an equal share is ${percent(equal)}`,
      advice: 'somebody edited the chain, or the proxy wrote it half: have the proxy write it again',
    },
  ]
}

function lintEndpoint(
  index: RuleIndex,
  table: IndexedTable,
  chain: ChainName,
  known: KnownEndpoints,
): readonly Finding[] {
  // A chain that nobody jumps to sends no traffic anywhere.
  const owner = table.owners.get(chain)
  if (!table.referred.has(chain) || owner === undefined) return []
  const endpoints = known.get(serviceOfPortName(owner))
  const isSound = ({ target }: Rule) => target?.kind !== 'dnat' || endpoints?.get(target.to) === true
  if (table.chains.get(chain)?.rules.every(isSound) === true) return []
  return table.rulesOf(chain).flatMap((indexed): readonly Finding[] => {
    const { target } = indexed.rule
    if (target?.kind !== 'dnat') return []
    const endpoint = target.to
    const serves = endpoints?.get(endpoint)
    if (serves === true) return []
    const place = { ...placeOf(index, table, chain, indexed), owner }
    if (serves === false) {
      return [
        {
          severity: 'warning',
          kind: 'endpoint-does-not-serve',
          ...place,
          message: `${endpoint} is an endpoint that is neither ready nor serving, and gets connections`,
          advice: 'wait for the next sync of the proxy; if it stays, see sluice verify',
        },
      ]
    }
    const why =
      endpoints === undefined ? 'the cluster has no such Service' : `it is no endpoint of ${serviceOfPortName(owner)}`
    return [
      {
        severity: 'error',
        kind: 'not-an-endpoint',
        ...place,
        message: `connections go to ${endpoint}, and ${why}`,
        advice: 'the rules are older than the cluster: check that the proxy runs and reaches the API server',
      },
    ]
  })
}
