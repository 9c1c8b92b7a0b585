// What /debug/rules shows of the families: rules applied, the payload that failed, and what is pending.

import { printRuleLine } from '../iptables/print-rule.ts'
import { chunkOf, type Program } from '../iptables/program.ts'
import { printRestore } from '../iptables/restore.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { DebugRules, TextPieces } from './debug-rules.ts'
import type { FamilySync } from './family.ts'

export function showRules(families: () => readonly FamilySync[]): DebugRules {
  const programs = (choose: (family: FamilySync) => Program | undefined) =>
    families().flatMap((family) => choose(family) ?? [])
  return {
    lastApplied: (service) =>
      piecesOf(
        programs((family) => family.shown().applied),
        service,
      ),
    pending: (service) =>
      piecesOf(
        programs((family) => {
          const { applied, pending } = family.shown()
          return pending?.servicePorts === applied?.servicePorts ? undefined : pending
        }),
        service,
      ),
    lastFailed: (service) => {
      const texts = families().flatMap((family) => {
        const { failed } = family.shown()
        return failed === undefined ? [] : [`# ${failed.message}\n${printRestore(failed.change)}`]
      })
      const lines = texts.join('').split('\n')
      const shown = service === undefined ? lines : lines.filter((line) => line.includes(service))
      return texts.length === 0 ? undefined : shown.map((line) => `${line}\n`)
    },
  }
}

function piecesOf(programs: readonly Program[], service: ObjectKey | undefined): TextPieces | undefined {
  return programs.length === 0 ? undefined : printPrograms(programs, service)
}

function* printPrograms(programs: readonly Program[], service: ObjectKey | undefined): Generator<string> {
  for (const program of programs) {
    yield `# ${program.family}\n`
    for (const servicePort of program.servicePorts) {
      if (service !== undefined && servicePort.service !== service) continue
      const { owner, chains, entries } = chunkOf(program, servicePort)
      const lines = [
        ...entries.map(({ table, chain, rule }) => [table, chain, rule] as const),
        ...chains.flatMap(({ table, name, rules }) => rules.map((rule) => [table, name, rule] as const)),
      ]
      const text = lines.map(
        ([table, chain, rule]) => `${printRuleLine(`-t ${table} -A ${chain}`, rule, program.family)}\n`,
      )
      yield `# ${owner}\n${text.join('')}`
    }
  }
}
