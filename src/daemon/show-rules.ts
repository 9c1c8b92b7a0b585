// What /debug/rules shows of the families: what was applied, what was refused, and what is pending.
import type { ObjectKey } from '../model/object-name.ts'
import type { DebugRules, TextPieces } from './debug-rules.ts'
import type { FamilySync, ShownProgram, ShownRules } from './family.ts'

export function showRules(families: () => readonly FamilySync[]): DebugRules {
  const show = (choose: (shown: ShownRules) => ShownProgram | undefined, service: ObjectKey | undefined) =>
    piecesOf(
      families().flatMap((family) => choose(family.shown()) ?? []),
      service,
    )
  return {
    lastApplied: (service) => show(({ applied }) => applied, service),
    pending: (service) => show(({ pending }) => pending, service),
    lastFailed: (service) => {
      const texts = families().flatMap((family) => family.shown().failed ?? [])
      const lines = texts.join('').split('\n')
      const shown = service === undefined ? lines : lines.filter((line) => line.includes(service))
      return texts.length === 0 ? undefined : shown.map((line) => `${line}\n`)
    },
  }
}

function piecesOf(programs: readonly ShownProgram[], service: ObjectKey | undefined): TextPieces | undefined {
  return programs.length === 0 ? undefined : printPrograms(programs, service)
}

function* printPrograms(programs: readonly ShownProgram[], service: ObjectKey | undefined): Generator<string> {
  for (const { family, print } of programs) {
    yield `# ${family}\n`
    yield* print(service)
  }
}
