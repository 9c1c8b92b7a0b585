// Whose a line of a payload is. It compiles one ServicePort after the other until it is found: only failures ask.
import type { ServicePort } from '../model/service-port.ts'
import { printRule } from './print-rule.ts'
import { chunkOf, type Program } from './program.ts'
import type { PayloadLine } from './restore-payload.ts'

/** The ServicePort that wants the line; undefined for lines of fixed chains, and for lines that delete. */
export function findOwner(program: Program, line: PayloadLine): ServicePort | undefined {
  const rule = ruleOf(line)
  return program.servicePorts.find((servicePort) => {
    const { chains, entries } = chunkOf(program, servicePort)
    if (chains.some(({ table, name }) => table === line.table && name === line.chain)) return true
    return entries.some(
      (entry) =>
        entry.table === line.table && entry.chain === line.chain && printRule(entry.rule, program.family) === rule,
    )
  })
}

/** Undefined when the line adds no rule. */
function ruleOf({ text, chain }: PayloadLine): string | undefined {
  if (chain === undefined) return undefined
  if (text.startsWith('-A ')) return text.slice(`-A ${chain} `.length)
  return text.startsWith('-I ') ? text.replace(/^-I \S+ \d+ /, '') : undefined
}
