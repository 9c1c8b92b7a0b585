// Hands without a helper process, for tests that need real tools: what `run` does is done here.
import { spawn } from 'node:child_process'
import { CommandError, type CommandResult } from '../../src/host/exec.ts'
import type { HandsCommand } from '../../src/host/hands.ts'

export interface NodeHands {
  readonly run: (command: HandsCommand) => Promise<CommandResult>
  readonly ensureCounters: (names: readonly string[]) => Promise<readonly string[]>
}

/** `prefix` is put before every command, such as `nsenter --net=/run/netns/x`. */
export function createNodeHands(prefix: readonly string[], env: NodeJS.ProcessEnv = process.env): NodeHands {
  return {
    ensureCounters: async () => [],
    run: ({ argv, stdin = '', timeoutMs, accept = [0], discardOutput }) =>
      new Promise((resolve, reject) => {
        const [program = '', ...args] = [...prefix, ...argv]
        const child = spawn(program, args, {
          stdio: ['pipe', discardOutput === true ? 'ignore' : 'pipe', 'pipe'],
          env: { ...env, LC_ALL: 'C' },
        })
        const output: Buffer[] = []
        const errors: Buffer[] = []
        let timedOut = false
        const timer = setTimeout(() => {
          timedOut = true
          child.kill('SIGKILL')
        }, timeoutMs)
        child.stdout?.on('data', (part: Buffer) => output.push(part))
        child.stderr?.on('data', (part: Buffer) => errors.push(part))
        child.on('error', reject)
        child.on('close', (exitCode) => {
          clearTimeout(timer)
          const stderr = Buffer.concat(errors).toString()
          if (timedOut) reject(new CommandError(argv, { kind: 'timeout', milliseconds: timeoutMs }, stderr))
          else if (!accept.includes(exitCode ?? -1)) {
            reject(new CommandError(argv, { kind: 'exit', exitCode: exitCode ?? -1 }, stderr))
          } else resolve({ stdout: Buffer.concat(output).toString(), stderr, exitCode: exitCode ?? 0 })
        })
        child.stdin?.on('error', () => {})
        for (const part of typeof stdin === 'string' ? [stdin] : stdin) child.stdin?.write(part)
        child.stdin?.end()
      }),
  }
}
