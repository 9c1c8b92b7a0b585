// Why a tool failed, read from its messages: what can be done about it depends on it.
// iptables-nft-restore 1.8.9 names every line that the kernel refused, `line 5: RULE_APPEND failed (Invalid argument)`;
// what it can't read or find itself it calls `Error occurred at line: 3` or `line 4 failed: Bad rule`. iptables-legacy
// writes `line 4 failed`; for a table that the kernel refused as a whole that is the line of the COMMIT.
import type { CommandError } from '../host/exec.ts'

export type RestoreFailure =
  /** Another program holds the lock. */
  | { readonly kind: 'locked' }
  | { readonly kind: 'timeout' }
  /** Lines of the payload, from 1; empty when the tool named none. */
  | { readonly kind: 'refused'; readonly lines: readonly number[] }
  /** The tool did not run, or did not end by itself: nothing is known about the payload. */
  | { readonly kind: 'other' }

const LOCK_EXIT_CODE = 4
const REFUSED_LINE = /\bline:? (\d+)(?:$| failed|: \w+ failed)/gm

export function readRestoreFailure(error: unknown): RestoreFailure {
  if (!isCommandError(error)) return { kind: 'other' }
  const { failure, stderr } = error
  if (failure.kind === 'timeout') return { kind: 'timeout' }
  if (failure.kind !== 'exit') return { kind: 'other' }
  // iptables-nft takes no lock and has the same exit code for what the kernel refuses.
  if (failure.exitCode === LOCK_EXIT_CODE && /xtables lock/.test(stderr)) return { kind: 'locked' }
  const lines = [...stderr.matchAll(REFUSED_LINE)].map(([, line]) => Number(line))
  return { kind: 'refused', lines: [...new Set(lines)] }
}

/** By its shape: only the process that runs tools may load the code that does. */
export function isCommandError(error: unknown): error is CommandError {
  return error instanceof Error && error.name === 'CommandError' && 'failure' in error && 'stderr' in error
}
