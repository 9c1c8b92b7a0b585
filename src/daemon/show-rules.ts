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
      const shown = texts.flatMap((text) => linesOf(text, service))
      return shown.length === 0 ? undefined : shown.map((line) => `${line}\n`)
    },
  }
}

/** Of a payload, whose first line says why it failed; with a Service that line and its own, if it has any. */
function linesOf(text: string, service: ObjectKey | undefined): readonly string[] {
  const [why = '', ...lines] = text.replace(/\n$/, '').split('\n')
  if (service === undefined) return [why, ...lines]
  // `ns1/web` is part of the names `ns1/web-2` and `dns1/web`.
  const name = new RegExp(`(?<![a-z0-9.-])${service.replaceAll('.', String.raw`\.`)}(?![a-z0-9.-])`)
  const own = lines.filter((line) => name.test(line))
  return own.length > 0 || name.test(why) ? [why, ...own] : []
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
