// A helper process in a network namespace of its own, which lasts as long as it does: tests run their tools through it,
// and this machine's own network is never touched. Needs root; without it tests are skipped, but not in CI.
import { spawnSync } from 'node:child_process'
import type { CommandResult } from '../../src/host/exec.ts'
import { type SupervisedHands, startHands } from '../../src/host/hands-client.ts'

export interface Namespace {
  readonly hands: SupervisedHands
  /** Runs a script of the shell there. */
  sh(script: string, stdin?: string): Promise<CommandResult>
}

export async function openNamespace(): Promise<Namespace> {
  const hands = await startHands({ inside: ['unshare', '-n'] })
  return {
    hands,
    sh: (script, stdin) =>
      hands.run({ argv: ['sh', '-ec', script], timeoutMs: 120_000, ...(stdin !== undefined && { stdin }) }),
  }
}

/** Why these tools can't be used in a namespace of their own; undefined when they can. */
export function missingInNamespace(script: string): string | undefined {
  const result = spawnSync('unshare', ['-n', 'sh', '-ec', script], { encoding: 'utf8', timeout: 120_000 })
  const missing =
    result.status === 0 ? undefined : `unshare -n sh -c '${script}' failed: ${result.stderr ?? 'no unshare'}`
  if (missing !== undefined && process.env['CI'] === 'true') throw new Error(`this test must run in CI, and ${missing}`)
  if (missing !== undefined) process.stderr.write(`SKIPPED: ${missing}\n`)
  return missing
}
