// Files that options name.
import { readFileSync } from 'node:fs'
import { Failure } from './failure.ts'

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file or folder: check the path'],
  ['ENOTDIR', 'part of the path is not a folder: check the path'],
  ['EISDIR', 'it is a folder: name a file'],
  ['EACCES', 'permission denied: allow this user to use it'],
  ['EPERM', 'permission denied: allow this user to use it'],
  ['EEXIST', 'there is a file of this name: choose another folder'],
  ['ENOSPC', 'the disk is full: free some space'],
  ['EROFS', 'the disk is read-only: choose another folder'],
])

/** @throws Failure that names the option and the file. */
export function readText(path: string, option: string): string {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new Failure(`${option} ${path}: ${reasonOf(error)}`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Failure(`${option} ${path}: it is not UTF-8 text: check that it is the right file`)
  }
}

/** Why a file could not be read or written, and what to do, from an exception of node:fs. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS.get(code) ?? (error instanceof Error ? error.message : String(error))
}
