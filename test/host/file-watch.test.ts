import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { onFileWritten } from '../../src/host/file-watch.ts'

const POLL_MS = 100

let folder = ''
let file = ''
let written = 0
let stop = () => {}

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sluice-file-watch-'))
  file = path.join(folder, 'config.conf')
  written = 0
})

afterEach(() => {
  stop()
  stop = () => {}
  rmSync(folder, { recursive: true, force: true })
})

interface SeenOptions {
  readonly pollMs?: number
  readonly expected?: number
}

/** Long enough for the file to settle, and for a look without events. In steps: in each, what came meanwhile is heard. */
async function quiet(): Promise<void> {
  for (let step = 0; step < 6; step += 1) await sleep(50)
}

/** How often the listener has been called, when it has been so often and is not called again. */
async function writesAfter(expected: number): Promise<number> {
  await expect.poll(() => written).toBeGreaterThanOrEqual(expected)
  await quiet()
  return written
}

/** How often the listener was called because of `change`; waits for one call, unless `expected` is 0. */
async function writesSeen(change: () => void | Promise<void>, { pollMs, expected = 1 }: SeenOptions = {}) {
  stop = onFileWritten(file, () => (written += 1), pollMs)
  await sleep(20)
  await change()
  return writesAfter(expected)
}

describe('a file', () => {
  beforeEach(() => writeFileSync(file, 'mode: iptables\n'))

  test('is written when it is overwritten in place', async () => {
    expect(await writesSeen(() => writeFileSync(file, 'mode: nftables\n'))).toBe(1)
  })

  test('is written when another file is renamed onto it, and every further time', async () => {
    const replace = (text: string) => {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    }
    expect(await writesSeen(() => replace('mode: nftables\n'))).toBe(1)
    replace('mode: nftables\n')
    expect(await writesAfter(2)).toBe(2)
    writeFileSync(file, 'mode: ipvs\n')
    expect(await writesAfter(3)).toBe(3)
  })

  test('is written when it is moved away', async () => {
    expect(await writesSeen(() => renameSync(file, `${file}.old`))).toBe(1)
  })

  test('is not written by chmod, touch or a neighbour', async () => {
    const change = () => {
      chmodSync(file, 0o600)
      utimesSync(file, 1, 1)
      writeFileSync(path.join(folder, 'other'), 'x')
    }
    expect(await writesSeen(change, { expected: 0 })).toBe(0)
  })

  test('is not written when it is removed and created again as it was', async () => {
    const change = async () => {
      rmSync(file)
      await quiet()
      writeFileSync(file, 'mode: iptables\n')
    }
    expect(await writesSeen(change, { expected: 0 })).toBe(0)
  })

  test('is written when it comes back with other content', async () => {
    const change = async () => {
      rmSync(file)
      await quiet()
      expect(written).toBe(0)
      writeFileSync(file, 'mode: ipvs\n')
    }
    expect(await writesSeen(change)).toBe(1)
  })

  test('is no longer watched after the end, which may be asked for twice', async () => {
    stop = onFileWritten(file, () => (written += 1))
    stop()
    stop()
    writeFileSync(file, 'mode: ipvs\n')
    await quiet()
    expect(written).toBe(0)
  })
})

test('a mounted ConfigMap is written when its link is swapped', async () => {
  const mount = (version: string, text: string) => {
    mkdirSync(path.join(folder, version))
    writeFileSync(path.join(folder, version, 'config.conf'), text)
    symlinkSync(version, path.join(folder, '..data.new'))
    renameSync(path.join(folder, '..data.new'), path.join(folder, '..data'))
  }
  mount('..1', 'mode: iptables\n')
  symlinkSync('..data/config.conf', file)
  expect(await writesSeen(() => mount('..2', 'mode: nftables\n'))).toBe(1)
})

test('a change behind a link into another folder is found by looking', async () => {
  const elsewhere = path.join(folder, 'elsewhere')
  mkdirSync(path.join(elsewhere, 'a'), { recursive: true })
  mkdirSync(path.join(elsewhere, 'b'))
  writeFileSync(path.join(elsewhere, 'a', 'config.conf'), '1')
  writeFileSync(path.join(elsewhere, 'b', 'config.conf'), '2')
  symlinkSync('a', path.join(elsewhere, 'current'))
  symlinkSync('elsewhere/current/config.conf', file)
  const swap = () => {
    symlinkSync('b', path.join(elsewhere, 'next'))
    renameSync(path.join(elsewhere, 'next'), path.join(elsewhere, 'current'))
  }
  expect(await writesSeen(swap, { pollMs: POLL_MS })).toBe(1)
})

test('a file that is missing at first is written when it comes', async () => {
  expect(await writesSeen(() => writeFileSync(file, 'mode: ipvs\n'))).toBe(1)
})
