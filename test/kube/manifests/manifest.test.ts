import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { InputError, readManifests } from '../../../src/kube/manifests/manifest.ts'
import { formatIssue } from '../../../src/model/issue.ts'

let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sluice-manifest-'))
  await mkdir(path.join(folder, 'many', 'below'), { recursive: true })
  await mkdir(path.join(folder, 'none'))
  const files = {
    'many/b.yaml': 'kind: B\n',
    'many/a.json': '{"kind": "A"}',
    'many/c.yml': 'kind: C\n',
    'many/notes.txt': 'kind: D\n',
    'many/below/e.yaml': 'kind: E\n',
    'empty.yaml': '# nothing\n---\n',
    'latin1.yaml': Buffer.from('kind: \xe9\n', 'latin1'),
    plain: 'kind: P\n',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text)
})

afterAll(() => rm(folder, { recursive: true }))

function at(...names: readonly string[]): readonly string[] {
  return names.map((name) => path.join(folder, name))
}

async function refusal(paths: readonly string[]): Promise<string> {
  const error: unknown = await readManifests(paths).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(InputError)
  return error instanceof InputError ? error.message.replaceAll(folder, '<folder>') : ''
}

describe('manifests', () => {
  it('are read from files of any name and from directories, sorted and not deeper', async () => {
    const { objects, issues } = await readManifests(at('plain', 'many'))
    expect(objects.map(({ value }) => value['kind'])).toEqual(['P', 'A', 'B', 'C'])
    expect(objects.map((object) => object.at.source)).toEqual(at('plain', 'many/a.json', 'many/b.yaml', 'many/c.yml'))
    expect(issues).toEqual([])
  })

  it('are read from standard input', async () => {
    const { objects } = await readManifests(['-'], { readStdin: async () => Buffer.from('kind: A\n') })
    expect(objects).toMatchObject([{ value: { kind: 'A' }, at: { source: '<stdin>' } }])
  })

  it('report progress by file', async () => {
    const heard: string[] = []
    await readManifests(at('plain'), {
      onProgress: (source, fraction) => heard.push(`${path.basename(source)} ${fraction}`),
    })
    expect(heard).toEqual(['plain 1'])
  })

  it('without any object are an issue', async () => {
    const { objects, issues } = await readManifests(at('empty.yaml'))
    expect(objects).toEqual([])
    expect(issues.map(formatIssue)).toEqual([
      `${path.join(folder, 'empty.yaml')}: holds no Kubernetes object: check what should have written it`,
    ])
  })

  it('may be empty beside others that are not', async () => {
    expect((await readManifests(at('empty.yaml', 'plain'))).issues).toEqual([])
  })
})

describe('input that can not be read', () => {
  it.each([
    ['missing', "can't read <folder>/missing: there is no such file or directory: check the path"],
    ['plain/x', "can't read <folder>/plain/x: part of the path is not a directory: check the path"],
    ['none', '<folder>/none holds no *.yaml, *.yml or *.json file: name the files, or another directory'],
    ['latin1.yaml', '<folder>/latin1.yaml is not UTF-8 text, or too long for one text: check that it is a manifest'],
  ])('is refused with one sentence: %s', async (name, message) => {
    expect(await refusal(at(name))).toBe(message)
  })

  it('is refused when it is forbidden', async () => {
    // Nothing is forbidden to root, as whom tests may run; so the refusal comes through standard input.
    const readStdin = () => Promise.reject(Object.assign(new Error('x'), { code: 'EACCES' }))
    await expect(readManifests(['-'], { readStdin })).rejects.toThrow(
      "can't read <stdin>: permission denied: allow this user to read it",
    )
  })

  it('is standard input for the second time', async () => {
    expect(await refusal(['-', '-'])).toBe('standard input can be read only once: give - once')
  })

  it('is standard input that fails', async () => {
    const fails = readManifests(['-'], { readStdin: () => Promise.reject(new Error('broken pipe')) })
    await expect(fails).rejects.toThrow("can't read <stdin>: broken pipe")
  })
})
