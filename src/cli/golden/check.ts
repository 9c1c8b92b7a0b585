// Compares what scenarios come to with the files that are there, and, when asked, writes the files.
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Failure } from '../failure.ts'
import { renderScenario } from './render-scenario.ts'
import { findScenarios, OUTPUT_NAME, type Scenario } from './scenario.ts'

export interface GoldenOptions {
  /** Write outputs, but for recorded ones, instead of only comparing them. */
  readonly write?: boolean
  /** Hears what is being checked, and how much is done, from 0 to 1. */
  readonly onProgress?: (scenario: string, done: number) => void
}

export interface GoldenReport {
  readonly scenarios: number
  /** How many outputs were compared. */
  readonly outputs: number
  /** Outputs that are not as rendered, those included that were then written. */
  readonly differences: readonly Difference[]
  /** Files that no scenario produces, those included that were then removed. */
  readonly strays: readonly string[]
  /** Paths of what `write` wrote or removed. */
  readonly written: ReadonlySet<string>
  /** Why a scenario could not be rendered, a sentence each. */
  readonly failures: readonly string[]
}

export interface Difference {
  readonly file: string
  /** Absent when there is no such file. */
  readonly expected?: string
  readonly rendered: string
}

/** @throws Failure for a folder that can't be read or holds no scenario. */
export function checkGoldens(folders: readonly string[], options: GoldenOptions = {}): GoldenReport {
  const found = folders.map(findScenarios)
  const scenarios = distinctFolders(found.flatMap((each) => each.scenarios))
  const report = {
    outputs: 0,
    differences: [] as Difference[],
    strays: [...new Set(found.flatMap((each) => each.strays))],
    written: new Set<string>(),
    failures: [] as string[],
  }
  for (const [index, scenario] of scenarios.entries()) {
    options.onProgress?.(scenario.folder, index / scenarios.length)
    try {
      const { compared, differences, strays } = checkScenario(scenario)
      report.outputs += compared
      report.differences.push(...differences)
      report.strays.push(...strays)
      if (options.write === true && !scenario.recorded) writeOutputs(differences, strays, report.written)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      report.failures.push(error.message)
    }
  }
  return { ...report, scenarios: scenarios.length }
}

/** Whether everything is as it should be: nothing differs that was not written just now. */
export function isAsExpected({ differences, strays, written }: GoldenReport): boolean {
  return differences.every(({ file }) => written.has(file)) && strays.every((file) => written.has(file))
}

interface CheckedScenario {
  readonly compared: number
  readonly differences: readonly Difference[]
  readonly strays: readonly string[]
}

function checkScenario(scenario: Scenario): CheckedScenario {
  const outputs = renderScenario(scenario)
  const differences = [...outputs].flatMap(([name, rendered]): readonly Difference[] => {
    const file = path.join(scenario.folder, name)
    const expected = scenario.files.includes(name) ? readFileSync(file) : undefined
    if (expected?.equals(Buffer.from(rendered)) === true) return []
    return [{ file, rendered, ...(expected && { expected: expected.toString() }) }]
  })
  const strays = scenario.files.filter((name) => !outputs.has(name) && !isInput(name, scenario))
  return { compared: outputs.size, differences, strays: strays.map((name) => path.join(scenario.folder, name)) }
}

/** What people write by hand, and in recorded cases what else was recorded. */
function isInput(file: string, { steps, modes, recorded }: Scenario): boolean {
  const [folder, name] = [path.dirname(file), path.basename(file)]
  if (name === 'README.md') return true
  if (folder === '.') {
    return name === 'host.json' || steps.some((step) => step.file === name) || /^flows(?:\.[1-9]\d*)?\.txt$/.test(name)
  }
  if (!modes.includes(folder)) return false
  return (
    ['config.yaml', 'host.json'].includes(name) || (recorded && ['listening', 'sysctl', 'healthcheck'].includes(name))
  )
}

/** A stray file goes only when its name says that it once was an output. */
function writeOutputs(differences: readonly Difference[], strays: readonly string[], written: Set<string>): void {
  const stale = strays.filter((file) => OUTPUT_NAME.test(path.basename(file)))
  try {
    for (const file of [...stale, ...differences.map((difference) => difference.file)]) {
      // A link would be followed to a file that may be an input, or recorded.
      rmSync(file, { force: true })
      written.add(file)
    }
    for (const { file, rendered } of differences) {
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileSync(file, rendered)
    }
  } catch (error) {
    throw new Failure(`--write: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Folders on the command line may overlap. */
function distinctFolders(scenarios: readonly Scenario[]): readonly Scenario[] {
  return [...new Map(scenarios.map((scenario) => [realpathSync(scenario.folder), scenario])).values()]
}
