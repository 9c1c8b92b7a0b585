// The ends of a command that are not success.
import type { Issue } from '../model/issue.ts'

/**
 * The command can't go on: bad usage, unreadable input, invalid configuration. Its message is for a person; exit code 2.
 * `issues` are what the message says, where it comes from several places of an input.
 */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly issues: readonly Issue[]

  constructor(message: string, issues: readonly Issue[] = []) {
    super(message)
    this.issues = issues
  }
}

export const EXIT = { ok: 0, problems: 1, failure: 2 } as const
