// The real helper process: what it does, and what becomes of requests, tools and files when it dies.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CommandError } from '../../src/host/exec.ts'
import { type Hands, HandsGone } from '../../src/host/hands.ts'
import { type SupervisedHands, startHands } from '../../src/host/hands-client.ts'

const LIMIT = { timeoutMs: 60_000 }
const LINE = '-A KUBE-SERVICES -m comment --comment "ns1/svc1:p80 cluster IP, \u00e4\u{1F600}" -j KUBE-SVC-X\n'

let folder = ''
let hands: SupervisedHands
let restarts: { readonly reason: string; readonly pauseMs: number }[]

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'sluice-hands-test-'))
  restarts = []
  hands = await startHands({ folder, onRestart: (gone, pauseMs) => restarts.push({ reason: gone.message, pauseMs }) })
})
afterEach(async () => {
  await hands.close()
  const left = readdirSync(folder)
  rmSync(folder, { recursive: true })
  if (left.length > 0) throw new Error(`these were left behind: ${left.join(' ')}`)
})

function shell(script: string): readonly [string, ...string[]] {
  return ['sh', '-c', script]
}

async function refusalOf(running: Promise<unknown>): Promise<unknown> {
  return running.then(
    () => 'no refusal',
    (error: unknown) => error,
  )
}

/** Files below the private folder of the helper. */
function privateFiles(): readonly string[] {
  return readdirSync(folder).flatMap((name) => readdirSync(path.join(folder, name)))
}

/** The helper's number, once there is one. */
async function helperPid(other?: number): Promise<number> {
  await expect.poll(() => hands.pid !== undefined && hands.pid !== other, { timeout: 30_000 }).toBe(true)
  return hands.pid ?? 0
}

describe('a tool', () => {
  test('gives what it printed on both streams, and its exit code', async () => {
    const command = { argv: shell('printf "a\\n\\n"; printf b >&2; exit 1'), accept: [0, 1], ...LIMIT }
    expect(await hands.run(command)).toEqual({ stdout: 'a\n\n', stderr: 'b', exitCode: 1 })
  })

  test.each([
    ['nothing', undefined, ''],
    ['a text', 'zeile ä\n', 'zeile ä\n'],
    ['bytes', [Buffer.from('ab'), Buffer.from('c')], 'abc'],
    ['an empty text', '', ''],
  ])('reads %s as its input', async (_, stdin, expected) => {
    const { stdout } = await hands.run({ argv: ['cat'], ...LIMIT, ...(stdin !== undefined && { stdin }) })
    expect(stdout).toBe(expected)
  })

  test('may stop reading early', async () => {
    expect((await hands.run({ argv: ['true'], stdin: 'x'.repeat(60_000), ...LIMIT })).exitCode).toBe(0)
    expect((await hands.run({ argv: ['true'], stdin: LINE.repeat(100_000), ...LIMIT })).exitCode).toBe(0)
  })

  test('may print into the void', async () => {
    const command = { argv: shell('echo thrown away; echo kept >&2'), discardOutput: true, ...LIMIT } as const
    expect(await hands.run(command)).toEqual({ stdout: '', stderr: 'kept\n', exitCode: 0 })
  })

  test('speaks English and is found where system tools are', async () => {
    const { stdout } = await hands.run({ argv: shell('echo "$LC_ALL $PATH"'), ...LIMIT })
    expect(stdout).toMatch(/^C .*:\/usr\/sbin:\/sbin\n$/)
  })

  test('runs beside others', async () => {
    const meeting = mkdtempSync(path.join(tmpdir(), 'sluice-hands-meeting-'))
    try {
      // Each waits for the others: one after the other, the first would never end.
      const meet = (name: number) =>
        shell(`touch ${meeting}/${name}; until [ $(ls ${meeting} | wc -l) = 4 ]; do sleep 0.05; done; echo ${name}`)
      const results = await Promise.all([1, 2, 3, 4].map((name) => hands.run({ argv: meet(name), ...LIMIT })))
      expect(results.map(({ stdout }) => stdout)).toEqual(['1\n', '2\n', '3\n', '4\n'])
    } finally {
      rmSync(meeting, { recursive: true })
    }
  })

  test('of one input does not get the input of another', async () => {
    const texts = Array.from({ length: 20 }, (_, index) => `${index} `.repeat(30_000))
    const results = await Promise.all(texts.map((stdin) => hands.run({ argv: ['cat'], stdin, ...LIMIT })))
    expect(results.map(({ stdout }) => stdout === texts.shift())).not.toContain(false)
  })
})

describe('large input and output', () => {
  test('pass unchanged, and leave nothing in the helper and nothing on disk', async () => {
    const text = LINE.repeat(215_000)
    const chunks = [Buffer.from(text)]
    await hands.run({ argv: ['true'], ...LIMIT })
    const before = peakOf(hands.pid)
    expect((await hands.run({ argv: ['cat'], stdin: text, ...LIMIT })).stdout === text).toBe(true)
    expect((await hands.run({ argv: ['cat'], stdin: chunks, ...LIMIT })).stdout === text).toBe(true)
    expect(Buffer.byteLength(text)).toBeGreaterThan(18_000_000)
    expect(peakOf(hands.pid) - before).toBeLessThan(8)
    expect(privateFiles()).toEqual([])
  })

  test('lie in files that only this user can read, whose input is gone once the tool runs', async () => {
    const release = path.join(folder, 'release')
    const wait = `head -c 1 >/dev/null; until test -e ${release}; do sleep 0.01; done`
    const running = hands.run({ argv: shell(`${wait}; cat`), stdin: LINE.repeat(5_000), ...LIMIT })
    await expect.poll(privateFiles, { timeout: 30_000 }).toHaveLength(1)
    const [privateFolder = ''] = readdirSync(folder)
    const [output = ''] = privateFiles()
    expect(statSync(path.join(folder, privateFolder)).mode & 0o777).toBe(0o700)
    expect(statSync(path.join(folder, privateFolder, output)).mode & 0o777).toBe(0o600)
    writeFileSync(release, '')
    await running
    rmSync(release)
    expect(privateFiles()).toEqual([])
  })

  test('of a tool that fails leave nothing on disk', async () => {
    const command = { argv: shell('cat; exit 3'), stdin: LINE.repeat(5_000), ...LIMIT }
    expect(await refusalOf(hands.run(command))).toBeInstanceOf(CommandError)
    expect(privateFiles()).toEqual([])
  })
})

describe('a tool that fails', () => {
  test('is a CommandError, as if it had been run here', async () => {
    const error = await refusalOf(hands.run({ argv: shell('echo first >&2; exit 3'), ...LIMIT }))
    expect(error).toBeInstanceOf(CommandError)
    expect(error).toMatchObject({ failure: { kind: 'exit', exitCode: 3 }, stderr: 'first\n' })
    expect(String(error)).toContain("sh -c 'echo first >&2; exit 3' exited with 3: first")
  })

  test.each([
    [['ip6tables-no-such-variant'], { kind: 'missing' }],
    [['/etc/passwd'], { kind: 'not started', reason: 'EACCES' }],
    [['sh', '-c', 'kill -9 $$'], { kind: 'signal', signal: 'SIGKILL' }],
  ] as const)('%j fails as %j', async (argv, failure) => {
    expect(await refusalOf(hands.run({ argv, ...LIMIT }))).toMatchObject({ failure })
  })

  test('with a NUL character in its arguments is not started', async () => {
    expect(await refusalOf(hands.run({ argv: ['echo', 'a\0b'], ...LIMIT }))).toMatchObject({
      failure: { kind: 'not started' },
    })
  })

  test('by taking too long is ended, even when it does not want to', async () => {
    const stubborn = { argv: shell('trap "" TERM; sleep 60 & wait; sleep 60'), timeoutMs: 200 }
    const started = performance.now()
    const errors = await Promise.all([
      refusalOf(hands.run({ argv: ['sleep', '60'], timeoutMs: 200 })),
      refusalOf(hands.run(stubborn)),
    ])
    expect(performance.now() - started).toBeLessThan(40_000)
    for (const error of errors) expect(error).toMatchObject({ failure: { kind: 'timeout', milliseconds: 200 } })
    expect((await hands.run({ argv: ['echo', 'next'], ...LIMIT })).stdout).toBe('next\n')
    expect(restarts).toEqual([])
  })
})

describe('a helper that dies', () => {
  test('refuses what it was asked, ends its tools, and another one takes over', async () => {
    const pid = await helperPid()
    const marker = path.join(folder, 'marker')
    const late = shell(`sleep 4; echo late > ${marker}`)
    const pending = [
      refusalOf(hands.run({ argv: late, stdin: LINE.repeat(5_000), ...LIMIT })),
      refusalOf(hands.run({ argv: ['sleep', '60'], ...LIMIT })),
    ]
    await expect.poll(() => toolsOf(pid).length, { timeout: 30_000 }).toBeGreaterThanOrEqual(2)
    const tools = toolsOf(pid)
    process.kill(pid, 'SIGKILL')
    for (const error of await Promise.all(pending)) expect(error).toBeInstanceOf(HandsGone)
    expect(tools.filter(isAlive)).toEqual([])
    expect((await hands.run({ argv: ['echo', 'again'], ...LIMIT })).stdout).toBe('again\n')
    expect(await helperPid(pid)).not.toBe(pid)
    expect(restarts).toEqual([{ reason: 'the helper process ended (SIGKILL)', pauseMs: 0 }])
    await sleep(4_100)
    expect(existsSync(marker)).toBe(false)
    expect(privateFiles()).toEqual([])
  })

  test('is followed by the next after a pause that grows, and requests wait for it', async () => {
    let pid = 0
    for (let death = 0; death < 3; death += 1) {
      pid = await helperPid(pid)
      process.kill(pid, 'SIGKILL')
      await expect.poll(() => restarts.length, { timeout: 30_000 }).toBe(death + 1)
      expect((await hands.run({ argv: ['echo', 'up'], ...LIMIT })).stdout).toBe('up\n')
    }
    expect(restarts.map(({ pauseMs }) => pauseMs)).toEqual([0, 100, 200])
  })

  test('is told of by an address change, because changes may have been missed', async () => {
    let changes = 0
    hands.onAddressChange(() => (changes += 1))
    const pid = await helperPid()
    process.kill(pid, 'SIGKILL')
    await helperPid(pid)
    expect(changes).toBeGreaterThanOrEqual(1)
  })

  test('by hanging is ended, and started again', async () => {
    const pid = await helperPid()
    await hands.run({ argv: ['true'], ...LIMIT })
    process.kill(pid, 'SIGSTOP')
    const error = await refusalOf(hands.run({ argv: ['true'], timeoutMs: 100 }))
    expect(error).toBeInstanceOf(HandsGone)
    expect(String(error)).toContain('did not answer run within')
    expect((await hands.run({ argv: ['echo', 'up'], ...LIMIT })).stdout).toBe('up\n')
  })
})

describe('closing', () => {
  test('ends the helper and its tools, refuses what is pending and what comes after', async () => {
    const pid = await helperPid()
    const pending = refusalOf(hands.run({ argv: ['sleep', '60'], ...LIMIT }))
    await expect.poll(() => toolsOf(pid).length, { timeout: 30_000 }).toBe(1)
    const tools = toolsOf(pid)
    await hands.close()
    expect(await pending).toBeInstanceOf(HandsGone)
    expect([pid, ...tools].filter(isAlive)).toEqual([])
    expect(await refusalOf(hands.run({ argv: ['true'], ...LIMIT }))).toBeInstanceOf(HandsGone)
    expect(restarts).toEqual([])
  })

  test('twice is no error', async () => {
    await hands.close()
    await expect(hands.close()).resolves.toBeUndefined()
  })
})

test('files that a killed process left behind go at the next start, those of a living one stay', async () => {
  const left = mkdtempSync(path.join(folder, 'sluice-hands-4194303-'))
  const mine = readdirSync(folder).filter((name) => path.join(folder, name) !== left)
  const other: Hands = await startHands({ folder })
  expect(existsSync(left)).toBe(false)
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(mine))
  await other.close()
  expect(readdirSync(folder)).toEqual(mine)
})

/** Peak of resident memory, in MB. */
function peakOf(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** The living processes of the helper's group beside itself. */
function toolsOf(group: number): readonly number[] {
  return processes()
    .filter((each) => each.group === group && each.pid !== group && each.state !== 'Z')
    .map(({ pid }) => pid)
}

function isAlive(pid: number): boolean {
  return processes().some((each) => each.pid === pid && each.state !== 'Z')
}

function processes(): readonly { readonly pid: number; readonly group: number; readonly state: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
        const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return [{ pid: Number(name), group: Number(group), state }]
      } catch {
        return []
      }
    })
}
