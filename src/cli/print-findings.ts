// Findings of lint and verify -> standard output, and the exit code that they mean.
import { styleText } from 'node:util'
import { type Finding, type FindingSeverity, formatFinding, isAtLeast } from '../lint/finding.ts'
import { EXIT } from './failure.ts'
import { type OutputStream, wantsColour } from './streams.ts'
import { printable } from './terminal.ts'
import { count } from './words.ts'

export type FailOn = FindingSeverity | 'never'

const COLOURS = { error: 'red', warning: 'yellow', notice: 'cyan' } as const

/** Each finding in a line, with its rule and further lines below it. */
export function* printFindings(
  findings: readonly (Finding<string> & { readonly details?: readonly string[] })[],
  stdout: OutputStream,
): Generator<string> {
  const colour = wantsColour(stdout)
  for (const finding of findings) {
    const { severity, text, details = [] } = finding
    const label = colour ? styleText(COLOURS[severity], `${severity}:`, { validateStream: false }) : `${severity}:`
    const below = [...(text === undefined ? [] : [`rule: ${text}`]), ...details]
    yield `${label} ${printable(formatFinding(finding))}\n${below.map((line) => `    ${printable(line)}\n`).join('')}`
  }
}

/** `2 errors, 1 warning` */
export function countFindings(findings: readonly Finding<string>[]): string {
  const counts = (['error', 'warning', 'notice'] as const).flatMap((severity) => {
    const number = findings.filter((finding) => finding.severity === severity).length
    return number === 0 ? [] : [count(number, severity)]
  })
  return counts.length === 0 ? 'nothing found' : counts.join(', ')
}

export function exitCodeFor(findings: readonly Finding<string>[], failOn: FailOn): number {
  if (failOn === 'never') return EXIT.ok
  return findings.some(({ severity }) => isAtLeast(severity, failOn)) ? EXIT.problems : EXIT.ok
}
