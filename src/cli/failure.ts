// The ends of a command that are not success.

/** The command can't go on: bad usage, unreadable input, invalid configuration. Its message is for a person; exit code 2. */
export class Failure extends Error {
  override readonly name = 'Failure'
}

export const EXIT = { ok: 0, problems: 1, failure: 2 } as const
