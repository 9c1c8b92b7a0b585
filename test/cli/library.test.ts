// sluice as a package: its library entry as other programs get it, and what a tarball of it holds. Needs dist.
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Folder, temporaryFolder } from '../support/kubeconfig-file.ts'
import { requireBuild } from './build.ts'
import { sluice } from './command.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const EXAMPLE = readFileSync(path.join(ROOT, 'examples', 'library.mjs'), 'utf8')
const CODE = EXAMPLE.slice(EXAMPLE.indexOf('import '))
const run = promisify(execFile)

beforeAll(requireBuild)

async function expectedRules(): Promise<string> {
  const { code, stdout } = await sluice(['render', '-f', 'examples/nginx', '--node', 'node1', '--family', 'ipv4'])
  expect(code).toBe(0)
  return stdout
}

describe('the example of the library', () => {
  test('prints the rules that the command prints', async () => {
    const { stdout, stderr } = await run(process.execPath, ['examples/library.mjs'], { cwd: ROOT })
    expect(stdout).toBe(await expectedRules())
    expect(stderr).toBe('')
  })

  test('is the one in the header of the library', () => {
    const header = readFileSync(path.join(ROOT, 'src', 'index.ts'), 'utf8')
    const [, block = ''] = /```ts\n([\s\S]*?) \* ```/.exec(header) ?? []
    expect(block.replaceAll(/^ \* ?/gm, '')).toBe(CODE)
  })
})

describe('the package', () => {
  let folder: Folder
  let installed = ''
  let files: readonly string[] = []

  beforeAll(async () => {
    folder = temporaryFolder()
    // A package of its own, whatever lies in the folder of temporary files.
    folder.write('package.json', { name: 'consumer', private: true })
    const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder.path]
    const { stdout } = await run('npm', pack, { cwd: ROOT, maxBuffer: 2 ** 24 })
    // Some versions of npm answer with a list, some with a map by name.
    const answer = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>)
    await run('tar', ['-xzf', path.join(folder.path, path.basename(answer[0]?.filename ?? '')), '-C', folder.path])
    installed = path.join(folder.path, 'node_modules', 'sluice')
    mkdirSync(path.dirname(installed))
    renameSync(path.join(folder.path, 'package'), installed)
    for (const name of readdirSync(path.join(ROOT, 'node_modules')).filter((it) => !it.startsWith('.'))) {
      symlinkSync(path.join(ROOT, 'node_modules', name), path.join(folder.path, 'node_modules', name))
    }
    files = readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(installed, path.join(entry.parentPath, entry.name)))
  })
  afterAll(() => folder[Symbol.dispose]())

  test('holds the compiled program, its launchers, documents and LICENSE, and nothing else', () => {
    const outside = files.filter((file) => !file.startsWith(`dist${path.sep}`)).toSorted()
    expect(outside).toEqual([
      'LICENSE',
      'README.md',
      'docs/compared-with-kube-proxy.md',
      'docs/explain.md',
      'docs/graph.svg',
      'docs/rule-model.md',
      'docs/traffic.md',
      'package.json',
      'scripts/sluice.mjs',
      'scripts/with-node.mjs',
    ])
    expect(files).toContain('dist/main.js')
    expect(files).toContain('dist/index.js')
    expect(files).toContain('dist/index.d.ts')
  })

  test('gives other programs the library', async () => {
    folder.write('program.mjs', CODE.replace('examples/nginx/', `${ROOT}/examples/nginx/`))
    const { stdout } = await run(process.execPath, ['program.mjs'], { cwd: folder.path })
    expect(stdout).toBe(await expectedRules())
  })

  test('gives them the command', async () => {
    const example = path.join(ROOT, 'examples', 'nginx')
    const args = [path.join(installed, 'scripts', 'sluice.mjs'), 'render', '-f', example, '--family', 'ipv4']
    expect((await run(process.execPath, args, { cwd: folder.path })).stdout).toBe(await expectedRules())
  })

  test('gives them types', async () => {
    folder.write('program.ts', `${CODE}\nconst name: string = facts.name\nexport { name }\n`)
    folder.write('wrong.ts', "import { compile } from 'sluice'\ncompile(1, 2, 3, 'ipv5')\n")
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    const check = (file: string) =>
      run(path.join(ROOT, 'node_modules', '.bin', 'tsc'), [...options, file], { cwd: folder.path })
    await expect(check('program.ts')).resolves.toMatchObject({ stdout: '' })
    await expect(check('wrong.ts')).rejects.toMatchObject({
      stdout: expect.stringMatching(/wrong\.ts\(2,.*error TS/) as string,
    })
  })

  test('gives them nothing but the library', async () => {
    folder.write('inner.mjs', "await import('sluice/dist/cli/render.js')")
    await expect(run(process.execPath, ['inner.mjs'], { cwd: folder.path })).rejects.toMatchObject({
      stderr: expect.stringContaining('ERR_PACKAGE_PATH_NOT_EXPORTED') as string,
    })
  })
})
