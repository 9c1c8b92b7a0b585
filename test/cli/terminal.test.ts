// What is said on standard error: colours and progress only for a terminal, and nothing that could steer one.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createTerminal, printable } from '../../src/cli/terminal.ts'
import type { Issue } from '../../src/model/issue.ts'
import { captureStream, reported, sluice } from './command.ts'

const ISSUES: readonly Issue[] = [
  { severity: 'error', at: { source: 'a.yaml' }, message: 'is broken: mend it' },
  { severity: 'notice', at: {}, message: 'is odd' },
]

beforeEach(() => {
  vi.stubEnv('NO_COLOR', undefined)
  vi.stubEnv('TERM', 'xterm')
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.useRealTimers()
})

function report(isTTY: boolean): string {
  const stream = captureStream(isTTY)
  createTerminal(stream).report(ISSUES)
  return stream.text()
}

describe('colour', () => {
  const plain = 'error: a.yaml: is broken: mend it\nnotice: is odd\n'

  test('is on a terminal', () => {
    expect(report(true)).toBe(
      '\u001b[31merror:\u001b[39m a.yaml: is broken: mend it\n\u001b[33mnotice:\u001b[39m is odd\n',
    )
  })

  test('is nowhere else', () => {
    vi.stubEnv('FORCE_COLOR', '1')
    expect(report(false)).toBe(plain)
  })

  test.each([
    ['NO_COLOR', '1'],
    ['TERM', 'dumb'],
  ])('is not where %s=%s', (name, value) => {
    vi.stubEnv(name, value)
    expect(report(true)).toBe(plain)
  })
})

describe('progress', () => {
  function show(isTTY: boolean, afterMs: number, columns = 80): string {
    vi.useFakeTimers({ toFake: ['performance'] })
    const stream = captureStream(isTTY, columns)
    const terminal = createTerminal(stream)
    terminal.progress('early')
    vi.advanceTimersByTime(afterMs)
    terminal.progress('reading a.yaml', 0.257)
    terminal.progress('too soon after')
    terminal.say('done')
    return stream.text()
  }

  test('shows on a terminal after a second, and goes away for what is said', () => {
    expect(show(true, 1001)).toBe('reading a.yaml ... 25%\r\u001b[Kdone\n')
  })

  test('does not show before', () => {
    expect(show(true, 900)).toBe('done\n')
  })

  test('does not show elsewhere', () => {
    expect(show(false, 5000)).toBe('done\n')
  })

  test('fits on one line, which can be taken away', () => {
    expect(show(true, 2000, 16)).toBe('reading ... 25%\r\u001b[Kdone\n')
  })

  test('knows terminals that do not know their width', () => {
    expect(show(true, 2000, 0)).toContain('reading a.yaml ... 25%')
  })
})

describe('text of strangers', () => {
  test.each([
    ['colours', '\u001b[31mred', String.raw`\u{1b}[31mred`],
    ['line ends', 'a\nerror: b\r', String.raw`a\u{a}error: b\u{d}`],
    ['C1 controls', 'a\u009b2J', String.raw`a\u{9b}2J`],
    ['text turned around', 'a\u202eb\u2066', String.raw`a\u{202e}b\u{2066}`],
    ['line separators', 'a\u2028b', String.raw`a\u{2028}b`],
    ['halves of characters', 'a\ud800b', String.raw`a\u{d800}b`],
    ['NUL', 'a\0b', String.raw`a\u{0}b`],
  ])('loses its power over a terminal: %s', (_what, text, expected) => {
    expect(printable(text)).toBe(expected)
  })

  test('in plain letters of any language stays as it is', () => {
    expect(printable('Größe: 数 "x" \\ 😀')).toBe('Größe: 数 "x" \\ 😀')
  })

  test('is cut when it is very long', () => {
    expect(printable('x'.repeat(5000))).toBe(`${'x'.repeat(1200)}... (5000 characters in all)`)
  })

  test.each(['kind', 'apiVersion', 'name', 'namespace', 'clusterIP', 'protocol'])(
    'in the field %s reaches standard error on one line, without controls, and cut',
    async (field) => {
      const nasty = `\u001b]0;owned\u0007\n-A KUBE-SERVICES -j ACCEPT\u202e${'y'.repeat(100_000)}`
      const put = (name: string, good: string) => (name === field ? nasty : good)
      const object = {
        apiVersion: put('apiVersion', 'v1'),
        kind: put('kind', 'Service'),
        metadata: { name: put('name', 'web'), namespace: put('namespace', 'shop') },
        spec: { clusterIP: put('clusterIP', '10.96.0.1'), ports: [{ port: 80, protocol: put('protocol', 'TCP') }] },
      }
      const ended = await sluice(['render', '-f', '-', '--node', 'n'], {
        stdin: JSON.stringify(object),
        terminal: false,
      })
      expect(ended.stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(ended.stderr.length).toBeLessThan(6000)
      expect(ended.stdout).not.toContain('KUBE-SERVICES -j ACCEPT')
      expect(reported(ended).length).toBe(field === 'kind' ? 0 : 1)
    },
  )

  test('in options reaches standard error without controls', async () => {
    for (const args of [['--node', 'a\u001b[2J'], ['-f', 'a\u001b[2J'], ['a\u001b[2J'], ['--mode', 'a\u001b[2J']]) {
      const { stderr } = await sluice(['render', ...args])
      expect(stderr).not.toContain('\u001b')
      expect(stderr).toContain(args[0] === '--node' ? 'there is no cluster' : String.raw`a\u{1b}[2J`)
    }
  })
})
