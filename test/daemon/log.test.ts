// Log lines, to the byte.
import { describe, expect, test } from 'vitest'
import { createLog, type LogOptions } from '../../src/daemon/log.ts'
import { logSync, type SyncOutcome } from '../../src/daemon/sync-line.ts'

// The zone of the process; the text form shows local time, as Kubernetes' own logs do.
const AT = new Date(2026, 0, 2, 3, 4, 5, 678).getTime()

function create(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({
    format: 'text',
    terminal: false,
    verbosity: 0,
    now: () => AT,
    pid: 42,
    write: (line) => lines.push(line),
    ...options,
  })
  return { log, lines }
}

describe('text', () => {
  test('is one line in the shape of Kubernetes logs', () => {
    const { log, lines } = create()
    log.info('synced rules', { family: 'IPv4', lines: 14, ok: true, list: ['a', 'b'] })
    log.warn('slow')
    log.error('failed', { error: new Error('outer', { cause: new Error('inner') }) })
    expect(lines).toEqual([
      'I0102 03:04:05.678000      42 sluice] synced rules family="IPv4" lines=14 ok=true list=["a","b"]\n',
      'W0102 03:04:05.678000      42 sluice] slow\n',
      'E0102 03:04:05.678000      42 sluice] failed err="outer: inner"\n',
    ])
  })

  test('strangers can neither start a line nor steer a terminal', () => {
    const { log, lines } = create()
    log.info('a\nb\u001b[31m', { name: 'x\r\n\u001b]0;title\u0007\u009b1m' })
    expect(lines).toEqual([
      'I0102 03:04:05.678000      42 sluice] a\\u000ab\\u001b[31m name="x\\r\\n\\u001b]0;title\\u0007\\u009b1m"\n',
    ])
  })

  test('strangers can neither reorder a line nor hide in it', () => {
    const { log, lines } = create()
    log.info('a\u202eb\u200bc', { name: '\u2066x\u2069\u{e0041}\ud800' })
    expect(lines).toEqual([
      'I0102 03:04:05.678000      42 sluice] a\\u202eb\\u200bc name="\\u2066x\\u2069\\udb40\\udc41\\ud800"\n',
    ])
  })
})

describe('JSON', () => {
  test('has the members of Kubernetes logs', () => {
    const { log, lines } = create({ format: 'json' })
    log.info('synced rules', { lines: 14, msg: 'mine' })
    log.error('failed', { error: new Error('why') })
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: 'info', ts: AT / 1000, v: 0, lines: 14, msg_: 'mine', msg: 'synced rules' },
      { level: 'error', ts: AT / 1000, err: 'why', msg: 'failed' },
    ])
    expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true)
  })

  test.each([
    [true, 'I'],
    [false, '{'],
  ])('auto on a terminal (%s) starts with %s', (terminal, start) => {
    const { log, lines } = create({ format: 'auto', terminal })
    log.info('x')
    expect(lines[0]?.[0]).toBe(start)
  })
})

describe('verbosity', () => {
  test('a line shows from its level on, and the level can change', () => {
    const { log, lines } = create({ format: 'json', verbosity: 2 })
    log.verbose(2, 'two')
    log.verbose(3, 'three')
    log.setVerbosity(4)
    log.verbose(4, 'four')
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { v: 2, msg: 'two' },
      { v: 4, msg: 'four' },
    ])
    expect([log.isVerbose(4), log.isVerbose(5)]).toEqual([true, false])
  })
})

describe('secrets', () => {
  const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl'
  const KEY = '-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----'

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['a token', { token: 'abcdef123456' }],
    ['a header', { headers: { Authorization: 'abcdef123456' } }],
    ['client-key-data', { user: { 'client-key-data': 'abcdef123456' } }],
    ['a password in a list', { users: [{ password: 'abcdef123456' }] }],
    ['a bearer token in an error', { error: new Error('Bearer abcdef123456 was refused') }],
    ['a bearer token in a cause', { error: new Error('x', { cause: new Error('Bearer abcdef123456') }) }],
    ['a JSON Web Token anywhere', { line: `server said ${JWT}` }],
    ['a private key', { line: KEY }],
  ])('%s is not written', (_, fields) => {
    for (const format of ['text', 'json'] as const) {
      const { log, lines } = create({ format })
      log.error('failed', fields)
      expect(lines.join('')).toContain('[hidden]')
      expect(lines.join('')).not.toMatch(/abcdef123456|eyJ|MIIEpAI/)
    }
  })

  test('messages are masked too', () => {
    const { log, lines } = create()
    log.info(`sent Authorization: Bearer abcdef123456`)
    expect(lines.join('')).not.toContain('abcdef123456')
  })

  test('where a secret lies is no secret', () => {
    const { log, lines } = create()
    log.info('read', { tokenFile: '/var/run/token', service: 'ns1/secret-keeper' })
    expect(lines.join('')).toContain('tokenFile="/var/run/token" service="ns1/secret-keeper"')
  })
})

describe('the line of a sync', () => {
  const outcome: SyncOutcome = { kind: 'partial', lines: 14, durationMs: 31.2345, restoreMs: 15.06, isolated: [] }
  const line = { family: 'ipv6', reason: 'endpoints changed', services: 2000, endpoints: 10_000 } as const

  test('says what changed, counts, milliseconds and the reason at default level', () => {
    const { log, lines } = create()
    logSync(log, { ...line, outcome, changedServices: ['a/1', 'a/2', 'a/3', 'a/4', 'a/5'] })
    expect(lines).toEqual([
      'I0102 03:04:05.678000      42 sluice] synced rules family="IPv6" reason="endpoints changed" kind="partial" lines=14 ms=31.2 restoreMs=15.1 services=2000 endpoints=10000 changed="a/1, a/2, a/3 and 2 more"\n',
    ])
  })

  test('warns of Services that the kernel refused, and counts drift', () => {
    const { log, lines } = create()
    logSync(log, { ...line, outcome: { ...outcome, isolated: ['ns1/bad:p80/tcp'], drift: [{}, {}] } })
    expect(lines[0]).toMatch(/^W.* isolated="ns1\/bad:p80\/tcp" drift=2\n$/)
  })

  test('a sync with nothing to do is told at level 2 only', () => {
    const quiet = create()
    const none = { ...outcome, kind: 'none', lines: 0 } as const
    logSync(quiet.log, { ...line, outcome: none })
    expect(quiet.lines).toEqual([])
    const verbose = create({ verbosity: 2 })
    logSync(verbose.log, { ...line, outcome: none })
    expect(verbose.lines).toHaveLength(1)
    logSync(quiet.log, { ...line, outcome: { ...none, drift: [{}] } })
    expect(quiet.lines).toHaveLength(1)
  })
})
