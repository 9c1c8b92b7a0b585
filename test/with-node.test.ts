// The launcher, as a process: which Node it hands over to, and that nothing of the command's end is lost.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const LAUNCHER = fileURLToPath(new URL('../scripts/with-node.mjs', import.meta.url))
/** Plain JavaScript without types. */
const { isSupported } = (await import(LAUNCHER)) as { isSupported: (version?: string) => boolean }

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function launch(launcher: string, words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child: ChildProcess = execFile(process.execPath, [launcher, ...words], (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr })
    })
  })
}

describe('whether a Node is new enough', () => {
  test.each([
    ['18.20.8', false],
    ['20.20.2', false],
    ['22.17.1', false],
    ['22.18.0', true],
    ['23.0.0', true],
    ['24.21.0', true],
    ['26.10.0', true],
  ])('%s: %s', (version, expected) => {
    expect(isSupported(version)).toBe(expected)
  })
})

describe('a command started with a Node that is new enough', () => {
  test('gets its arguments word for word', async () => {
    const script = 'console.log(JSON.stringify(process.argv.slice(1)))'
    const words = ['a b', '$(id)', "'", '--flag', '']
    const { stdout } = await launch(LAUNCHER, ['node', '-e', script, '--', ...words])
    expect(JSON.parse(stdout)).toEqual(words)
  })

  test('finds that Node and the programs of the project first', async () => {
    const { stdout } = await launch(LAUNCHER, ['sh', '-c', 'node -p process.execPath; command -v vitest'])
    const bin = fileURLToPath(new URL('../node_modules/.bin', import.meta.url))
    expect(stdout).toBe(`${process.execPath}\n${bin}/vitest\n`)
  })

  test('passes on its exit code', async () => {
    expect((await launch(LAUNCHER, ['node', '-e', 'process.exit(7)'])).code).toBe(7)
  })

  test('that a signal ends, ends with 128 and the number of the signal', async () => {
    expect((await launch(LAUNCHER, ['sh', '-c', 'kill -KILL $$'])).code).toBe(128 + 9)
  })

  test('gets the signals that its launcher gets', async () => {
    const script = `process.on('SIGTERM', () => process.exit(5)); setInterval(() => {}, 1000); console.log('ready')`
    const child = spawn(process.execPath, [LAUNCHER, 'node', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await ended).toEqual([5, null])
  })

  test('that does not exist is one sentence and exit code 2', async () => {
    const { code, stderr } = await launch(LAUNCHER, ['sluice-no-such-program'])
    expect([code, stderr]).toEqual([2, 'sluice-no-such-program did not start: spawn sluice-no-such-program ENOENT\n'])
  })
})

describe('a Node that is too old', () => {
  let folder = ''
  let launcher = ''

  // The Node that runs this test is new enough, so the copy of the launcher wants one from the far future.
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-with-node-'))
    launcher = path.join(folder, 'project', 'scripts', 'with-node.mjs')
    await mkdir(path.dirname(launcher), { recursive: true })
    const source = await readFile(LAUNCHER, 'utf8')
    const demanding = source.replace('const OLDEST = [22, 18]', 'const OLDEST = [999, 0]')
    if (demanding === source) throw new Error('the launcher no longer has this line: adapt the test')
    await writeFile(launcher, demanding)
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('is one clear sentence when npm brought no newer one', async () => {
    const { code, stdout, stderr } = await launch(launcher, ['node', '-e', 'console.log("ran")'])
    expect(stderr).toBe(
      `sluice needs Node 999.0 or newer and this is ${process.versions.node}; install Node 24, or run 'npm ci' without --omit=optional, which brings one along on Linux x64 and arm64.\n`,
    )
    expect([code, stdout]).toEqual([2, ''])
  })

  test('hands over to the one that npm installed beside the project or above it', async () => {
    for (const place of ['project', '.']) {
      const bin = path.join(folder, place, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin')
      await mkdir(bin, { recursive: true })
      await writeFile(path.join(bin, 'node'), `#!/bin/sh\necho "pinned: $*"\nexit 3\n`)
      await chmod(path.join(bin, 'node'), 0o755)
      expect(await launch(launcher, ['node', 'main.js', '--help'])).toEqual({
        code: 3,
        stdout: 'pinned: main.js --help\n',
        stderr: '',
      })
      await rm(path.join(folder, place, 'node_modules'), { recursive: true })
    }
  })

  test('is noticed, too, behind a link such as npm makes for a command', async () => {
    const link = path.join(folder, 'link.mjs')
    await symlink(launcher, link)
    const { code, stderr } = await launch(link, ['node'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('install Node 24')])
  })
})
