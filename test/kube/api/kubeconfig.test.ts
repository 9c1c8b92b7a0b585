import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readKubeconfig } from '../../../src/kube/api/kubeconfig.ts'
import { type Folder, oneContext, temporaryFolder } from '../../support/kubeconfig-file.ts'

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => {
  folder[Symbol.dispose]()
})

describe('merging', () => {
  test('takes the first file that defines a name and the first current context', () => {
    const one = folder.write('one', { ...oneContext({ server: 'https://one' }, {}, 'a'), 'current-context': '' })
    const two = folder.write('two', oneContext({ server: 'https://two' }, { token: 't2' }, 'b'))
    const three = folder.write('three', oneContext({ server: 'https://three' }, {}, 'b'))
    const access = readKubeconfig([one, two, three].join(':'), undefined)
    expect(access).toMatchObject({ cluster: { server: 'https://two' }, user: { token: 't2' } })
    expect(readKubeconfig(`${one}:${two}`, 'a')).toMatchObject({ cluster: { server: 'https://one' } })
  })

  test('lets a context of one file use the cluster of another', () => {
    const one = folder.write('one', { contexts: [{ name: 'a', context: { cluster: 'far' } }] })
    const two = folder.write('two', 'clusters: [{name: far, cluster: {server: https://far}}]\nusers: null\n')
    expect(readKubeconfig(`${one}:${two}`, 'a')).toMatchObject({ cluster: { server: 'https://far' }, user: {} })
  })

  test('passes over a missing file of several and empty parts of the list, but not a missing single file', () => {
    const one = folder.write('one', oneContext({ server: 'https://one' }))
    const missing = path.join(folder.path, 'missing')
    expect(readKubeconfig(`:${missing}:${one}:`, undefined)).toMatchObject({ cluster: { server: 'https://one' } })
    expect(() => readKubeconfig(missing, undefined)).toThrow(`${missing} can't be read: there is no such file`)
    expect(() => readKubeconfig(`${missing}:${missing}2`, undefined)).toThrow('no kubeconfig file of')
  })

  test("resolves file names against each file's own folder", () => {
    const inside = path.join(folder.path, 'inside')
    mkdirSync(inside)
    folder.write(
      'inside/one',
      oneContext({ server: 'x', 'certificate-authority': 'ca.crt' }, { tokenFile: '../token' }),
    )
    const two = folder.write(
      'two',
      oneContext({ server: 'x' }, { 'client-key': '/abs/key', exec: { command: './bin/login' } }, 'two'),
    )
    const list = `${inside}/one:${two}`
    expect(readKubeconfig(list, 'test')).toMatchObject({
      cluster: { 'certificate-authority': `${inside}/ca.crt` },
      user: { tokenFile: `${folder.path}/token` },
    })
    expect(readKubeconfig(list, 'two').user).toEqual({
      'client-key': '/abs/key',
      exec: { command: `${folder.path}/bin/login` },
    })
    folder.write('two', oneContext({ server: 'x' }, { exec: { command: 'aws' } }, 'two'))
    expect(readKubeconfig(list, 'two').user).toEqual({ exec: { command: 'aws' } })
  })
})

describe('what is wrong is said', () => {
  test.each([
    ['a: b: c', 'is broken: it is not YAML: Nested mappings are not allowed in compact mappings at line 1, column 4'],
    ['a: 1\na: 2', 'it is not YAML: Map keys must be unique at line 2, column 1'],
    ['- a', 'it is not a mapping'],
    ['clusters: {}', 'clusters is not a list'],
    ['users: [x]', 'users[0] is not a mapping'],
    ['users: [{user: {}}]', 'users[0].name is missing'],
    ['contexts: [{name: a, context: x}]', 'contexts[0].context is not a mapping'],
    ['', 'has no current-context: choose one with --context; it has no contexts'],
    ['current-context: x', "has no context 'x'; it has no contexts"],
    ['{current-context: a, contexts: [{name: a, context: {}}]}', "the cluster of context 'a' is missing"],
    [
      '{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {}}]}',
      "the user of context 'a', 'u', is not defined",
    ],
  ])('%j', (written, message) => {
    const file = folder.write('config', written)
    expect(() => readKubeconfig(file, undefined)).toThrow(message)
    expect(() => readKubeconfig(file, undefined)).toThrow(file)
  })

  test('an unknown context, with the contexts there are', () => {
    const one = folder.write('one', oneContext({ server: 'x' }, {}, 'prod'))
    const two = folder.write('two', oneContext({ server: 'x' }, {}, 'dev'))
    expect(() => readKubeconfig(`${one}:${two}`, 'prd')).toThrow(
      `${one}:${two} has no context 'prd'; the contexts there are: dev, prod`,
    )
  })

  test('a folder in place of a file', () => {
    expect(() => readKubeconfig(folder.path, undefined)).toThrow(/can't be read: EISDIR/)
  })
})
