// How much a cluster's Services come to on a node: rules, chains and bytes, counted; times and memory, from measured
// coefficients.

import type { Program } from '../iptables/program.ts'
import { measureProgram } from '../iptables/statistics.ts'
import type { Family } from '../model/address.ts'
import type { Coefficients, Line, VariantCoefficients } from './coefficient-types.ts'
import { printPayloadBytes } from './payload-size.ts'

export interface Amounts {
  readonly services: number
  readonly servicePorts: number
  readonly endpoints: number
  /** In all tables. */
  readonly rules: number
  readonly rulesByTable: Readonly<Record<string, number>>
  readonly chains: number
  /** Of ipsets; iptables mode has none. */
  readonly setEntries: number
  /** Of the text that iptables-restore gets at the first sync. */
  readonly payloadBytes: number
}

export interface Costs {
  readonly firstSyncMs: number
  readonly changeMs: number
  readonly readBackMs: number
  readonly kernelBytes: number
}

export interface Estimate {
  readonly mode: 'iptables'
  readonly family: Family
  readonly amounts: Amounts
  readonly agentBytes: number
  /** By variant of iptables. */
  readonly costs: { readonly nft: Costs; readonly legacy: Costs }
}

/** What the program comes to, counted. */
export function measureAmounts(program: Program): Amounts {
  const { services, servicePorts, endpoints, chains, rules } = measureProgram(program)
  return {
    services,
    servicePorts,
    endpoints,
    rules: [...rules.values()].reduce((sum, number) => sum + number, 0),
    rulesByTable: Object.fromEntries(rules),
    chains,
    setEntries: 0,
    payloadBytes: printPayloadBytes(program),
  }
}

/** Amounts of `times` as many Services as the program's, which are all alike; the fixed rules count once. */
export function scaleAmounts(program: Program, times: number): Amounts {
  const one = measureAmounts(program)
  const fixed = measureAmounts({ ...program, servicePorts: [] })
  const scale = (all: number, base: number) => Math.round(base + (all - base) * times)
  return {
    services: Math.round(one.services * times),
    servicePorts: Math.round(one.servicePorts * times),
    endpoints: Math.round(one.endpoints * times),
    rules: scale(one.rules, fixed.rules),
    rulesByTable: Object.fromEntries(
      Object.entries(one.rulesByTable).map(([table, rules]) => [table, scale(rules, fixed.rulesByTable[table] ?? 0)]),
    ),
    chains: scale(one.chains, fixed.chains),
    setEntries: 0,
    payloadBytes: scale(one.payloadBytes, fixed.payloadBytes),
  }
}

export function estimateCosts(family: Family, amounts: Amounts, coefficients: Coefficients): Estimate {
  const { rules } = amounts
  const { nft, legacy } = coefficients.iptables
  return {
    mode: 'iptables',
    family,
    amounts,
    agentBytes: at(coefficients.agentBytes, rules),
    costs: { nft: costsOf(nft, rules), legacy: costsOf(legacy, rules) },
  }
}

function costsOf({ firstSyncMs, changeMs, readBackMs, kernelBytes }: VariantCoefficients, rules: number): Costs {
  return {
    firstSyncMs: at(firstSyncMs, rules),
    changeMs: at(changeMs, rules),
    readBackMs: at(readBackMs, rules),
    kernelBytes: at(kernelBytes, rules),
  }
}

function at({ base, perRule }: Line, rules: number): number {
  return Math.round(base + perRule * rules)
}
