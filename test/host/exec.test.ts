// Real processes: /bin/sh and printf are there on every machine that can run sluice.
import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { CommandError, runCommand } from '../../src/host/exec.ts'

const TIMEOUT = { timeoutMs: 60_000 }

async function failureOf(running: Promise<unknown>): Promise<CommandError> {
  const error = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(CommandError)
  return error as CommandError
}

function shell(script: string): [string, ...string[]] {
  return ['sh', '-c', script]
}

describe('a command that works', () => {
  test('gives what it printed, on both streams, unchanged', async () => {
    const result = await runCommand(shell('printf "a\\n\\n"; printf b >&2'), TIMEOUT)
    expect(result).toEqual({ stdout: 'a\n\n', stderr: 'b', exitCode: 0 })
  })

  test('reads standard input to the end', async () => {
    const stdin = 'zeile ä\n'.repeat(50_000)
    expect((await runCommand(['cat'], { ...TIMEOUT, stdin })).stdout).toBe(stdin)
  })

  test('gets an empty standard input when none is given', async () => {
    expect((await runCommand(['cat'], TIMEOUT)).stdout).toBe('')
  })

  test('speaks English whatever the user speaks', async () => {
    expect((await runCommand(shell('echo "$LC_ALL"'), TIMEOUT)).stdout).toBe('C\n')
  })

  test('is found in the folders of system tools, which an ordinary user does not search', async () => {
    const { stdout } = await runCommand(shell('echo "$PATH"'), TIMEOUT)
    expect(stdout.trim().split(':')).toEqual(expect.arrayContaining(['/usr/sbin', '/sbin']))
  })

  test('may stop reading early', async () => {
    const result = await runCommand(['true'], { ...TIMEOUT, stdin: 'x'.repeat(5_000_000) })
    expect(result.exitCode).toBe(0)
  })

  test('gets its arguments word for word, whatever a shell would make of them', async () => {
    const hostile = ['$(id)', '`id`', '; id', '| id', '*', '~', '-n', "'", '"', '\\', '\n', '']
    const word = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''))
    const given = fc.asyncProperty(fc.array(word, { minLength: 1 }), async (words) => {
      const { stdout } = await runCommand(['printf', '%s\\0', ...words], TIMEOUT)
      // A lone surrogate has no UTF-8 form, so it can't reach a process.
      expect(stdout).toBe(words.map((text) => `${text.toWellFormed()}\0`).join(''))
    })
    await fc.assert(given, { numRuns: 40, examples: [[hostile]] })
  })
})

describe('a command that fails', () => {
  test('is an error with its command line, exit code and first line of complaint', async () => {
    const error = await failureOf(runCommand(shell('echo first >&2; echo second >&2; exit 3'), TIMEOUT))
    expect(error.message).toBe("sh -c 'echo first >&2; echo second >&2; exit 3' exited with 3: first")
    expect(error.failure).toEqual({ kind: 'exit', exitCode: 3 })
    expect(error.stderr).toBe('first\nsecond\n')
    expect(error.argv).toEqual(['sh', '-c', 'echo first >&2; echo second >&2; exit 3'])
  })

  test('is no error when its exit code is an answer', async () => {
    const result = await runCommand(shell('exit 1'), { ...TIMEOUT, accept: [0, 1] })
    expect(result.exitCode).toBe(1)
  })

  test('says which Debian package brings a tool that is not installed', async () => {
    const options = { timeoutMs: 60_000 }
    const iptables = await failureOf(runCommand(['ip6tables-no-such-variant'], options))
    expect(iptables.failure).toEqual({ kind: 'missing' })
    expect(iptables.message).toContain('on Debian: apt-get install iptables')
    const unknown = await failureOf(runCommand(['sluice-no-such-tool', '--all'], options))
    expect(unknown.message).toBe(
      'sluice-no-such-tool --all could not be started: there is no program sluice-no-such-tool',
    )
  })

  test('names the reason when something is there that can not be run', async () => {
    const error = await failureOf(runCommand(['/etc'], TIMEOUT))
    expect(error.failure).toEqual({ kind: 'not started', reason: 'EACCES' })
  })

  test('is an ordinary error when an argument holds a character that no process can get', async () => {
    const error = await failureOf(runCommand(['printf', 'a\0b'], TIMEOUT))
    expect(error.failure).toEqual({ kind: 'not started', reason: 'a NUL character in an argument' })
  })

  test('can not steer the terminal with what it repeats of its input', async () => {
    const error = await failureOf(runCommand(shell(String.raw`printf '\033[2Jbad\a' >&2; exit 1`), TIMEOUT))
    expect(error.message).toMatch(/exited with 1: bad\?$/)
  })
})

describe('a command that does not end', () => {
  test('is ended after its time, even when it ignores the request', async () => {
    const error = await failureOf(runCommand(shell('trap "" TERM; while :; do :; done'), { timeoutMs: 200 }))
    expect(error.failure).toEqual({ kind: 'timeout', milliseconds: 200 })
  })

  test('is ended when its caller gives up', async () => {
    const abort = new AbortController()
    const running = runCommand(['sleep', '60'], { timeoutMs: 60_000, signal: abort.signal })
    setTimeout(() => abort.abort(), 100)
    expect((await failureOf(running)).failure).toEqual({ kind: 'aborted' })
  })

  test('does not start when its caller has given up before', async () => {
    const error = await failureOf(runCommand(['sleep', '60'], { timeoutMs: 60_000, signal: AbortSignal.abort() }))
    expect(error.failure).toEqual({ kind: 'aborted' })
  })

  test('is told apart from one that a signal ended', async () => {
    const error = await failureOf(runCommand(shell('kill -KILL $$'), TIMEOUT))
    expect(error.failure).toEqual({ kind: 'signal', signal: 'SIGKILL' })
  })
})
