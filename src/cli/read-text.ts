// Files that options name.
import { readFileSync } from 'node:fs'
import { Failure } from './failure.ts'

/** @throws Failure that names the option and the file. */
export function readText(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Failure(`${option} ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
