// The command as processes: the launcher, pipes that close, full disks, and what is loaded when. Needs dist.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/kubeconfig-file.ts'
import { requireBuild } from './build.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const SLUICE = path.join(ROOT, 'scripts', 'sluice.mjs')
const EXAMPLE = path.join(ROOT, 'examples', 'nginx')

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function command(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [SLUICE, ...args], (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
    child.stdin?.end()
  })
}

function shell(script: string): Promise<Ended> {
  return new Promise((resolve) => {
    const words = ['-c', script, 'sluice', process.execPath, SLUICE, EXAMPLE]
    const child = execFile('bash', words, (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }))
  })
}

const RENDER = '"$1" "$2" render -f "$3" --family ipv4'
const TRACE = /^\s+at .*:\d+/m

beforeAll(requireBuild)

describe('the command', () => {
  test('renders an example', async () => {
    const ended = await command('render', '-f', EXAMPLE, '--family', 'ipv4')
    expect(ended.code).toBe(0)
    expect(ended.stdout).toMatch(/^\*filter\n[\s\S]*\nCOMMIT\n$/)
    expect(ended.stderr).toMatch(/rendered in \d+ ms\n$/)
  })

  test.each([
    [['--help'], 0],
    [['--version'], 0],
    [['render', '--help'], 0],
    [['help', 'render'], 0],
    [[], 2],
    [['frobnicate'], 2],
    [['render', '-f', '/none'], 2],
    [['render', '-f', '-'], 2],
    [['render', '-f', EXAMPLE, '--node', 'none'], 2],
  ])('ends %j with exit code %i, words and no stack trace', async (args, code) => {
    const ended = await command(...args)
    expect(ended.code).toBe(code)
    expect(ended.stdout + ended.stderr).toMatch(/\w.*\n$/)
    expect(code === 0 ? ended.stderr : ended.stdout).toBe('')
    expect(ended.stderr).not.toMatch(TRACE)
  })

  test('tells a defect in one line, and where it is only when asked', async () => {
    const defect = "JSON.stringify = () => { throw new Error('oh') }"
    const args = ['--import', `data:text/javascript,${defect}`, path.join(ROOT, 'dist', 'main.js')]
    const run = (env: NodeJS.ProcessEnv) =>
      promisify(execFile)(process.execPath, [...args, 'render', '-f', EXAMPLE, '-o', 'json'], {
        env: { ...process.env, ...env },
      })
    await expect(run({})).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/sluice: oh \(a bug in sluice; SLUICE_DEBUG=1 shows where\)\n$/) as string,
    })
    await expect(run({ SLUICE_DEBUG: '1' })).rejects.toMatchObject({ stderr: expect.stringMatching(TRACE) as string })
  })
})

describe('standard output', () => {
  test('that is closed after the first line ends the command quietly', async () => {
    const ended = await shell(`${RENDER} 2>/dev/null | head -1; echo "\${PIPESTATUS[0]}"`)
    expect(ended).toEqual({ code: 0, stdout: '*filter\n0\n', stderr: '' })
    const help = await shell('"$1" "$2" render --help | head -1; echo "${PIPESTATUS[0]}"')
    expect(help.stdout).toBe('Usage: sluice render [options]\n0\n')
    expect(help.stderr).toBe('')
  })

  test('that is closed before anything was written, too', async () => {
    const ended = await shell(`${RENDER} -o json >&-`)
    expect(ended.code).toBe(0)
    expect(ended.stderr).toMatch(/\nrendered in \d+ ms\n$/)
  })

  test.skipIf(!existsSync('/dev/full'))('that is full is one sentence', async () => {
    const ended = await shell(`${RENDER} >/dev/full`)
    expect(ended.code).toBe(2)
    expect(ended.stderr).toMatch(/\nsluice: standard output can't be written: ENOSPC: [^\n]*\n$/)
  })
})

test('standard error that is closed is no reason to fail', async () => {
  const ended = await shell(`${RENDER} 2>&1 >/dev/null | head -1; echo "\${PIPESTATUS[0]}"`)
  expect(ended.stdout).toBe('input: 3 Services, 1 Node\n0\n')
})

test('a large rendering arrives whole through a slow pipe', async () => {
  using folder = temporaryFolder()
  const port = { port: 80 }
  const items = Array.from({ length: 3000 }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `s${index}` },
    spec: { clusterIP: `10.96.${index >> 8}.${index & 255}`, ports: [port] },
  }))
  const file = folder.write('many.json', { apiVersion: 'v1', kind: 'List', items })
  const child = spawn(process.execPath, [SLUICE, 'render', '-f', file, '--family', 'ipv4'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = once(child, 'close')
  const stdout = await text(child.stdout)
  expect(await ended).toEqual([0, null])
  expect(stdout.match(/has no endpoints/g)).toHaveLength(3000)
  expect(stdout.endsWith('COMMIT\n')).toBe(true)
})

test('manifests come out of another command as a file', async () => {
  const ended = await shell(`"$1" "$2" render -f <(cat "$3"/*.yaml) --family ipv4 2>/dev/null | head -1`)
  expect(ended.stdout).toBe('*filter\n')
})

test('a folder that can not be made is told at once', async () => {
  const ended = await command('render', '-f', EXAMPLE, '--out', '/proc/none/of/these')
  expect(ended.code).toBe(2)
  expect(ended.stderr).toMatch(
    /\nsluice: --out \/proc\/none\/of\/these: there is no such file or folder: check the path\n$/,
  )
})

describe('what is loaded', () => {
  const hooks = `
    import { registerHooks } from 'node:module'
    registerHooks({ load(url, context, next) { process._rawDebug('LOADED ' + url); return next(url, context) } })`

  async function loaded(...args: readonly string[]): Promise<readonly string[]> {
    const preload = `data:text/javascript,${encodeURIComponent(hooks)}`
    const main = path.join(ROOT, 'dist', 'main.js')
    const { stderr } = await new Promise<Ended>((resolve) => {
      const child = execFile(process.execPath, ['--import', preload, main, ...args], (_, stdout, stderr_) => {
        resolve({ code: child.exitCode, stdout, stderr: stderr_ })
      })
    })
    const urls = [...stderr.matchAll(/^LOADED (file:.*)$/gm)].map(([, url]) => url ?? '')
    expect(urls).toContain(pathToFileURL(main).href)
    return urls.map((url) => path.relative(ROOT, fileURLToPath(url)))
  }

  const packagesOf = (files: readonly string[]) =>
    [...new Set(files.flatMap((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []))].toSorted()

  test('for --help is the argument parser and the table of flags, and nothing that a command needs', async () => {
    const files = await loaded('--help')
    expect(packagesOf(files)).toEqual(['commander'])
    const own = files.filter((file) => !file.startsWith('node_modules'))
    expect(own.toSorted()).toEqual([
      'dist/cli/command-line.js',
      'dist/cli/commands/completion.js',
      'dist/cli/commands/diff.js',
      'dist/cli/commands/estimate.js',
      'dist/cli/commands/explain.js',
      'dist/cli/commands/golden.js',
      'dist/cli/commands/graph.js',
      'dist/cli/commands/lint.js',
      'dist/cli/commands/render.js',
      'dist/cli/commands/run.js',
      'dist/cli/commands/source-options.js',
      'dist/cli/commands/trace.js',
      'dist/cli/commands/verify.js',
      'dist/cli/failure.js',
      'dist/cli/program.js',
      'dist/cli/proxy-options.js',
      'dist/cli/streams.js',
      'dist/cli/terminal.js',
      'dist/host/heap.js',
      'dist/kube/config/flags-without-effect.js',
      'dist/kube/config/proxy-flag-table.js',
      'dist/main.js',
      'dist/model/issue.js',
    ])
  })

  test('for files is neither the Kubernetes client nor what reads the machine', async () => {
    const packages = packagesOf(await loaded('render', '-f', EXAMPLE))
    expect(packages).not.toContain('@kubernetes/client-node')
    expect(packages).not.toContain('netlink')
    expect(packages).not.toContain('execa')
  })
})
