// Reads and writes kernel settings as files below /proc and /sys.
import { constants } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type { SysctlStep, SysctlValues } from '../sync/sysctl.ts'

/** A setting that could not be written, and what to do about it. */
export class SysctlError extends Error {
  override readonly name = 'SysctlError'
  readonly step: SysctlStep

  constructor(step: SysctlStep, reason: string) {
    super(
      `${step.path} can't be set to ${step.value} (${step.why}): ${reason}; set it on the host before sluice starts, or leave it out of the configuration`,
    )
    this.step = step
  }
}

/** A missing setting is an error, not a new file. */
const EXISTING = { flag: constants.O_WRONLY | constants.O_TRUNC }

/** The current values; files that can't be read or hold no number are absent. `root` stands for `/`. */
export async function readSysctls(paths: readonly string[], root = '/'): Promise<SysctlValues> {
  const values = new Map<string, number>()
  for (const file of paths) {
    const text = await readFile(path.join(root, file), 'utf8').catch(() => '')
    if (/^-?\d+\s*$/.test(text)) values.set(file, Number(text))
  }
  return values
}

/** Writes the steps in order; throws SysctlError at the first that fails. */
export async function applySysctls(steps: readonly SysctlStep[], root = '/'): Promise<void> {
  for (const step of steps) {
    try {
      await writeFile(path.join(root, step.path), `${step.value}\n`, EXISTING)
    } catch (error) {
      throw new SysctlError(step, codeOf(error))
    }
  }
}

/** Logical CPUs of the machine that are switched on, and not only those that this process may use. */
export async function countCpus(root = '/'): Promise<number> {
  const folder = path.join(root, 'sys/devices/system/cpu')
  const names = await readdir(folder).catch(() => [])
  let count = 0
  for (const name of names.filter((each) => /^cpu\d+$/.test(each))) {
    // The file is missing for a CPU that can't be switched off.
    const online = await readFile(path.join(folder, name, 'online'), 'utf8').catch(() => '1')
    if (online.trim() !== '0') count += 1
  }
  return count === 0 ? availableParallelism() : count
}

/** Tells the kernel how likely this process is to be ended when memory runs out; false when it may not. */
export async function writeOomScore(score: number, root = '/'): Promise<boolean> {
  try {
    await writeFile(path.join(root, 'proc/self/oom_score_adj'), `${score}\n`, EXISTING)
    return true
  } catch {
    return false
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
