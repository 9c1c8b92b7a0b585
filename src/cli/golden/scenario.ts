// Scenarios on disk: which folders are one, and which files beside them nobody will ever check. A scenario is a folder
// with cluster.yaml, or cluster.1.yaml and so on for a story in steps, and with a folder for each configuration
// (`iptables/config.yaml`), into which its outputs go.
import { type Dirent, existsSync, readdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { Failure } from '../failure.ts'

export interface Scenario {
  /** As the person reached it: below the folder on the command line. */
  readonly folder: string
  /** Recorded outputs are facts of another program: they are compared and never written. */
  readonly recorded: boolean
  readonly steps: readonly Step[]
  /** Names of the folders that hold a config.yaml. */
  readonly modes: readonly string[]
  /** Paths below `folder`, outputs included. */
  readonly files: readonly string[]
}

export interface Step {
  /** `cluster.yaml`, `cluster.2.yaml` */
  readonly file: string
  /** What its outputs' names end with: nothing, `.2`. */
  readonly suffix: string
}

export interface FoundScenarios {
  readonly scenarios: readonly Scenario[]
  /** Outputs that lie outside of every scenario. */
  readonly strays: readonly string[]
}

const CLUSTER = /^cluster(?:\.([1-9]\d*))?\.yaml$/
/** Names of files that `sluice golden --write` makes. */
export const OUTPUT_NAME =
  /^(?:ip6?tables-(?:save|plan)|ipv[46]-plan|ipset-save|ipvsadm-save|kube-ipvs0-addresses|issues)(?:\.[1-9]\d*)?$/

/** All scenarios in a folder, itself included, sorted by name. @throws Failure when there are none. */
export function findScenarios(folder: string): FoundScenarios {
  const scenarios: Scenario[] = []
  const strays: string[] = []
  const visit = (current: string) => {
    const entries = listEntries(current)
    if (entries.some((entry) => CLUSTER.test(entry.name))) {
      scenarios.push(readScenario(current, entries))
      return
    }
    for (const entry of entries) {
      const found = path.join(current, entry.name)
      if (entry.isDirectory()) visit(found)
      else if (OUTPUT_NAME.test(entry.name)) strays.push(found)
    }
  }
  visit(folder)
  if (scenarios.length > 0) return { scenarios, strays }
  throw new Failure(
    `${folder} holds no scenario: make a folder in it with cluster.yaml and iptables/config.yaml, or name another folder`,
  )
}

function readScenario(folder: string, entries: readonly Dirent[]): Scenario {
  const modes = entries
    .filter((entry) => entry.isDirectory() && existsSync(path.join(folder, entry.name, 'config.yaml')))
    .map((entry) => entry.name)
  if (modes.length === 0) {
    throw new Failure(`${folder} has no configuration: write iptables/config.yaml in it, with mode: iptables`)
  }
  return {
    folder,
    recorded: realpathSync(folder).split(path.sep).includes('recorded'),
    steps: listSteps(folder, entries),
    modes,
    files: listFiles(folder, ''),
  }
}

/** @throws Failure when it is not clear which files belong together. */
function listSteps(folder: string, entries: readonly Dirent[]): readonly Step[] {
  const found = entries.flatMap(({ name }) => {
    const match = CLUSTER.exec(name)
    return match === null ? [] : [{ file: name, number: Number(match[1] ?? 0) }]
  })
  const numbered = found.toSorted((a, b) => a.number - b.number)
  if (found.length === 1 && numbered[0]?.number === 0) return [{ file: 'cluster.yaml', suffix: '' }]
  const gap = numbered.find(({ number }, index) => number !== index + 1)
  if (gap === undefined) return numbered.map(({ file, number }) => ({ file, suffix: `.${number}` }))
  throw new Failure(
    `${folder} has ${gap.file} out of order: give it cluster.yaml alone, or cluster.1.yaml, cluster.2.yaml ...`,
  )
}

function listFiles(folder: string, below: string): readonly string[] {
  return listEntries(path.join(folder, below)).flatMap((entry) => {
    const name = path.join(below, entry.name)
    return entry.isDirectory() ? listFiles(folder, name) : [name]
  })
}

/** By name, without hidden ones and node_modules. @throws Failure when it can't be read. */
function listEntries(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(({ name }) => !name.startsWith('.') && name !== 'node_modules')
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    throw new Failure(`can't read ${folder}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
