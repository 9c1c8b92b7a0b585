// `sluice golden`: checks folders of scenarios against the rules that are stored with them. rules-golden/README.md says
// what a scenario is.
import { styleText } from 'node:util'
import { EXIT } from './failure.ts'
import { checkGoldens, type GoldenReport, isAsExpected } from './golden/check.ts'
import { showDifference, summariseDifferences } from './golden/show.ts'
import { createTerminal } from './terminal.ts'
import { writeOut } from './write-out.ts'

export interface GoldenCommandOptions {
  readonly write?: true
  readonly summary?: true
}

/** Returns the exit code: same, different, or not rendered. @throws Failure for a folder without scenarios. */
export async function golden(folders: readonly string[], options: GoldenCommandOptions): Promise<number> {
  const started = performance.now()
  const terminal = createTerminal(process.stderr)
  const report = checkGoldens(folders, { write: options.write === true, onProgress: terminal.progress })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  terminal.say(`${count(report.scenarios, 'scenario')}, ${count(report.outputs, 'output')} in ${seconds} s`)
  await writeOut(colour(options.summary === true ? summarise(report) : listAll(report)))
  for (const failure of report.failures)
    terminal.say(`${styleText('red', 'error:', { stream: process.stderr })} ${failure}`)
  terminal.say(verdict(report))
  if (report.failures.length > 0) return EXIT.failure
  return isAsExpected(report) ? EXIT.ok : EXIT.problems
}

function summarise({ differences, strays }: GoldenReport): string {
  const summary = summariseDifferences(differences)
  const noted =
    strays.length === 0 ? '' : `${count(strays.length, 'file')} that no scenario produces: ${strays.join(', ')}\n`
  return [summary, noted].filter((text) => text !== '').join('\n')
}

/** What was written is named, and `git diff` shows it. */
function listAll({ differences, strays, written }: GoldenReport): string {
  const diffs = differences.map((it) => (written.has(it.file) ? `wrote ${it.file}\n` : showDifference(it)))
  const lines = strays.map((file) =>
    written.has(file) ? `removed ${file}\n` : `${file}: no scenario produces this file\n`,
  )
  return [...diffs, ...lines].join('')
}

function verdict(report: GoldenReport): string {
  const { differences, strays, written, failures } = report
  const changed = written.size > 0 ? `${count(written.size, 'file')} written or removed` : ''
  const different = count(
    differences.filter(({ file }) => !written.has(file)).length,
    'output differs',
    'outputs differ',
  )
  const unknown = count(strays.filter((file) => !written.has(file)).length, 'stray file')
  const failed = count(failures.length, 'scenario failed', 'scenarios failed')
  const wrong = [different, unknown, failed].filter((text) => !text.startsWith('0 '))
  const hint =
    written.size === 0 && differences.length > 0 ? ' (sluice golden --write accepts them, but for recorded ones)' : ''
  const state = wrong.length === 0 ? 'all as expected' : `${wrong.join(', ')}${hint}`
  return changed === '' ? state : `${changed}; ${state}`
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

/** Only on a terminal. */
function colour(text: string): string {
  const styles = { '-': 'red', '+': 'green', '@': 'cyan' } as const
  const style = (line: string) => {
    const [, sign] = /^ *([-+@])/.exec(line) ?? []
    return sign === '-' || sign === '+' || sign === '@'
      ? styleText(styles[sign], line, { stream: process.stdout })
      : line
  }
  return text.split('\n').map(style).join('\n')
}
