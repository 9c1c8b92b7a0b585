// `sluice render` against a live cluster: the double of an API server. Whatever the way in, the rules are those that the
// same objects have in files.
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type ApiServer, startApiServer, tlsFile } from '../support/api-server.ts'
import type { ApiStore, Value } from '../support/api-store.ts'
import { type Folder, oneContext, temporaryFolder } from '../support/kubeconfig-file.ts'
import { rawNode, rawService, rawSlice } from '../support/raw-objects.ts'
import { reported, sluice } from './command.ts'

const OBJECTS: Readonly<Record<string, readonly Value[]>> = {
  services: [rawService({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] })],
  endpointslices: [rawSlice()],
  nodes: [rawNode({ status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } })],
}

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
  vi.stubEnv('HOME', folder.path)
  vi.stubEnv('KUBECONFIG', undefined)
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '')
})
afterEach(() => {
  vi.unstubAllEnvs()
  folder[Symbol.dispose]()
})

function fill(store: ApiStore): void {
  for (const [resource, objects] of Object.entries(OBJECTS)) for (const object of objects) store.put(resource, object)
}

async function fullServer(): Promise<ApiServer> {
  const server = await startApiServer()
  fill(server.store)
  return server
}

async function rulesFromFiles(): Promise<string> {
  const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: Object.values(OBJECTS).flat() })
  const { code, stdout } = await sluice(['render', '-f', '-'], { stdin })
  expect([code, stdout.includes('172.30.0.41')]).toEqual([0, true])
  return stdout
}

test('--kubeconfig reads Services, EndpointSlices and Nodes, and says what was read', async () => {
  await using server = await fullServer()
  const ended = await sluice(['render', '--kubeconfig', folder.write('config', oneContext({ server: server.url }))])
  expect(ended).toMatchObject({ code: 0, stdout: await rulesFromFiles() })
  expect(reported(ended)).toEqual([])
  expect(ended.stderr).toContain(
    `read ${server.url}\ninput: 1 Service, 1 Node\nendpoints come from EndpointSlices (1 Service)\n`,
  )
  expect(ended.stderr).toContain('\nnode: node-1, the only Node of the input\n')
})

test('--context chooses, and an unknown one is told those that there are', async () => {
  await using server = await fullServer()
  const here = oneContext({ server: server.url }, {}, 'here') as Record<string, readonly unknown[]>
  const gone = oneContext({ server: 'http://127.0.0.1:1' }, {}, 'gone') as Record<string, readonly unknown[]>
  const merged = Object.fromEntries(
    ['clusters', 'users', 'contexts'].map((key) => [key, [...(here[key] ?? []), ...(gone[key] ?? [])]]),
  )
  const kubeconfig = folder.write('config', { ...gone, ...merged })
  const ended = await sluice(['render', '--kubeconfig', kubeconfig, '--context', 'here'])
  expect(ended).toMatchObject({ code: 0, stdout: await rulesFromFiles() })
  const unknown = await sluice(['render', '--kubeconfig', kubeconfig, '--context=there'])
  expect(reported(unknown)).toEqual([
    `sluice: ${kubeconfig} has no context 'there'; the contexts there are: gone, here`,
  ])
  expect(unknown.code).toBe(2)
})

test('KUBECONFIG may name several files, of which the first that sets something wins', async () => {
  await using server = await fullServer()
  const first = folder.write('first', { 'current-context': 'test' })
  const second = folder.write('second', oneContext({ server: server.url }))
  const third = folder.write('third', oneContext({ server: 'http://127.0.0.1:1' }))
  vi.stubEnv('KUBECONFIG', [first, `${folder.path}/missing`, second, third].join(path.delimiter))
  expect(await sluice(['render'])).toMatchObject({ code: 0, stdout: await rulesFromFiles() })
})

test('~/.kube/config is read when nothing else is said', async () => {
  await using server = await fullServer()
  mkdirSync(`${folder.path}/.kube`)
  folder.write('.kube/config', oneContext({ server: server.url }))
  expect(await sluice(['render'])).toMatchObject({ code: 0, stdout: await rulesFromFiles() })
})

test('--master is enough for a server without credentials, whatever KUBECONFIG says', async () => {
  await using server = await fullServer()
  vi.stubEnv('KUBECONFIG', `${folder.path}/missing`)
  expect(await sluice(['render', '--master', server.url])).toMatchObject({ code: 0, stdout: await rulesFromFiles() })
})

test('a cluster without Services and Nodes is no mistake', async () => {
  await using server = await startApiServer()
  const ended = await sluice(['render', '--master', server.url, '--node', 'n'])
  expect(ended.code).toBe(0)
  expect(ended.stderr).toContain('there is no Service in the input')
})

test('bad objects of a cluster are told with the server as their place', async () => {
  await using server = await fullServer()
  server.store.put('services', rawService({ clusterIP: '1.2.3' }, { metadata: { name: 'bad', namespace: 'shop' } }))
  const ended = await sluice(['render', '--master', server.url])
  expect(reported(ended)).toEqual([
    expect.stringMatching(
      /^error: http:\/\/127\.0\.0\.1:\d+: Service shop\/bad spec\.clusterIP: "1\.2\.3" is not an IP address/,
    ),
  ])
  expect(ended.code).toBe(1)
})

// Its own mounts, so that there can be files in /var/run/secrets; the network is this one.
const NAMESPACE = process.getuid?.() === 0 ? ['unshare', '--mount'] : ['unshare', '--mount', '--map-root-user']
const MOUNT = `mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && cp -r "$1" /run/secrets/kubernetes.io/serviceaccount`
const canMount = await promisify(execFile)('sh', [
  '-c',
  `${NAMESPACE.join(' ')} sh -c 'mount -t tmpfs none /run'`,
]).then(
  () => true,
  () => false,
)

describe('in a Pod', () => {
  test.skipIf(!canMount)('the service account is enough', async () => {
    await using server = await startApiServer({ tls: { certificate: 'server' }, token: 'of-the-pod' })
    fill(server.store)
    const account = `${folder.path}/account`
    mkdirSync(account)
    folder.write('account/token', 'of-the-pod\n')
    folder.write('account/ca.crt', readFileSync(tlsFile('ca.crt'), 'utf8'))
    const main = path.join(import.meta.dirname, '..', '..', 'src', 'main.ts')
    const script = `${MOUNT} && exec "$2" "$3" render`
    const [program, ...args] = [...NAMESPACE, 'sh', '-c', script, 'sh', account, process.execPath, main]
    const env = { ...process.env, KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(server.port) }
    const { stdout, stderr } = await promisify(execFile)(program, args, { env })
    expect(stdout).toBe(await rulesFromFiles())
    expect(stderr).toContain(`read ${server.url}\n`)
  })
})
