import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readCluster } from '../../../src/kube/api/cluster.ts'
import { type ApiServer, startApiServer, tlsFile } from '../../support/api-server.ts'
import { node } from '../../support/cluster-objects.ts'
import { type Folder, oneContext, temporaryFolder } from '../../support/kubeconfig-file.ts'

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
  vi.stubEnv('HOME', folder.path)
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '')
})
afterEach(() => {
  vi.unstubAllEnvs()
  folder[Symbol.dispose]()
})

async function tlsServer(certificate = 'server', token?: string): Promise<ApiServer> {
  const server = await startApiServer({ tls: { certificate, clientCa: 'ca' }, ...(token !== undefined && { token }) })
  server.store.put('nodes', node('node-a'))
  return server
}

/** How many objects a kubeconfig of this cluster and user reads. */
async function read(cluster: object, user: object = {}): Promise<number> {
  const kubeconfig = folder.write('config', oneContext(cluster, user))
  return (await readCluster({ kubeconfig })).objects.length
}

const authority = { 'certificate-authority': tlsFile('ca.crt') }
const base64 = (name: string) => readFileSync(tlsFile(name)).toString('base64')

describe('TLS', () => {
  test('is trusted by a CA file, CA data, a server name, or not checked at all', async () => {
    await using server = await tlsServer()
    const { url } = server
    expect(await read({ server: url, ...authority })).toBe(1)
    expect(await read({ server: url, 'certificate-authority-data': base64('ca.crt') })).toBe(1)
    expect(await read({ server: url, 'insecure-skip-tls-verify': true })).toBe(1)
    await using elsewhere = await tlsServer('elsewhere')
    expect(await read({ server: elsewhere.url, ...authority, 'tls-server-name': 'elsewhere.example' })).toBe(1)
  })

  test('is checked also for a context without user', async () => {
    await using server = await tlsServer()
    const kubeconfig = folder.write('config', {
      clusters: [{ name: 'c', cluster: { server: server.url, ...authority } }],
      contexts: [{ name: 'x', context: { cluster: 'c' } }],
      'current-context': 'x',
    })
    expect((await readCluster({ kubeconfig })).objects).toHaveLength(1)
  })

  test.each([
    ['server', 'other-ca.crt', 'its certificate is signed by an authority that is not trusted'],
    ['server', undefined, 'its certificate is signed by an authority that is not trusted'],
    ['expired', 'ca.crt', 'its certificate has expired'],
    [
      'elsewhere',
      'ca.crt',
      'its certificate is for another host name; use a name that it lists, or set tls-server-name',
    ],
  ])('of certificate %s with CA %s fails', async (certificate, ca, words) => {
    await using server = await tlsServer(certificate)
    const trusted = ca === undefined ? {} : { 'certificate-authority': tlsFile(ca) }
    await expect(read({ server: server.url, ...trusted })).rejects.toMatchObject({
      kind: 'tls',
      message: expect.stringContaining(`no secure connection to ${server.url}: ${words}`) as string,
    })
  })

  test('is not what the other end speaks, or only one end speaks it', async () => {
    await using plain = await startApiServer()
    const secure = plain.url.replace('http:', 'https:')
    await expect(read({ server: secure, ...authority })).rejects.toMatchObject({ kind: 'tls' })
    await using server = await tlsServer()
    await expect(
      readCluster({ master: server.url.replace('https:', 'http:'), patience: { backoffMs: 1 } }),
    ).rejects.toThrow(server.url.replace('https:', 'http:'))
  })
})

describe('credentials', () => {
  const token = 'the-token'

  test('are a token, a client certificate in files, or in the kubeconfig', async () => {
    await using server = await tlsServer('server', token)
    const cluster = { server: server.url, ...authority }
    expect(await read(cluster, { token })).toBe(1)
    expect(
      await read(cluster, { 'client-certificate': tlsFile('client.crt'), 'client-key': tlsFile('client.key') }),
    ).toBe(1)
    const embedded = { 'client-certificate-data': base64('client.crt'), 'client-key-data': base64('client.key') }
    expect(await read(cluster, embedded)).toBe(1)
    await expect(read(cluster, { token: 'other' })).rejects.toMatchObject({ kind: 'unauthorized' })
  })

  test("are a tokenFile beside the kubeconfig, as kubeadm's kube-proxy has it, which wins over a token", async () => {
    await using server = await startApiServer({ token })
    folder.write('token', `${token}\n`)
    expect(await read({ server: server.url }, { tokenFile: 'token', token: 'older' })).toBe(0)
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${token}`)
  })

  test('are read again when they were rotated', async () => {
    await using server = await startApiServer({ token })
    folder.write('token', token)
    server.onRequest = ({ path }) => {
      if (path !== '/api/v1/nodes' || server.token === 'rotated') return
      server.token = 'rotated'
      folder.write('token', 'rotated')
    }
    expect(await read({ server: server.url }, { tokenFile: 'token' })).toBe(0)
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${token}`,
      `Bearer ${token}`,
      `Bearer ${token}`,
      'Bearer rotated',
    ])
  })

  test('are a name and password', async () => {
    await using server = await startApiServer()
    await read({ server: server.url }, { username: 'u', password: 'p' })
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`)
  })

  test('come from a credential plugin, which is told what is wanted', async () => {
    await using server = await tlsServer('server', token)
    folder.write(
      'login.sh',
      `#!/bin/sh\nprintf '%s' "$KUBERNETES_EXEC_INFO" >${folder.path}/told\n. ${folder.path}/answer\n`,
    )
    folder.write('answer', `echo '{"kind":"ExecCredential","status":{"token":"${token}"}}'`)
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './login.sh', provideClusterInfo: true }
    expect(await read({ server: server.url, ...authority }, { exec })).toBe(1)
    expect(JSON.parse(readFileSync(`${folder.path}/told`, 'utf8'))).toEqual({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      spec: { interactive: false, cluster: { server: server.url, 'certificate-authority-data': base64('ca.crt') } },
    })
  })

  test.each([
    ['./login.sh', 'echo "session expired" >&2; exit 1', "login.sh' of user 'test-user' of .* failed: session expired"],
    ['./login.sh', 'exit 1', 'failed: it ended with an error and said nothing'],
    ['no-such-plugin', '', "the credential plugin 'no-such-plugin' .* failed: there is no such program; install it"],
  ])('fail with the plugin %s doing %j', async (command, script, words) => {
    folder.write('login.sh', `#!/bin/sh\n${script}\n`)
    await expect(read({ server: 'http://127.0.0.1:1' }, { exec: { command } })).rejects.toMatchObject({
      kind: 'credentials',
      message: expect.stringMatching(words) as string,
    })
  })

  test.each([
    [{ tokenFile: 'missing' }, "the credentials of user 'test-user' of .*ENOENT.*missing"],
    [{ tokenFile: 'empty' }, "the token of user 'test-user' of .* is empty"],
    [{ 'client-certificate': 'missing.crt', 'client-key': 'missing.key' }, 'ENOENT.*missing.crt'],
  ])('that can not be used are reported: %o', async (user, words) => {
    folder.write('empty', '\n')
    await expect(read({ server: 'http://127.0.0.1:1' }, user)).rejects.toMatchObject({
      kind: 'credentials',
      message: expect.stringMatching(words) as string,
    })
  })

  test('that are no certificates are reported', async () => {
    await using server = await tlsServer()
    const broken = { 'client-certificate-data': base64('make.sh'), 'client-key-data': base64('make.sh') }
    await expect(read({ server: server.url, ...authority }, broken)).rejects.toThrow(
      "the certificate or key in the kubeconfig can't be read",
    )
  })
})

describe('where the configuration comes from', () => {
  test('is ~/.kube/config by default', async () => {
    await using server = await startApiServer()
    mkdirSync(`${folder.path}/.kube`)
    folder.write('.kube/config', oneContext({ server: server.url }))
    expect((await readCluster({})).server).toBe(server.url)
    await expect(readCluster({ context: 'prod' })).rejects.toMatchObject({
      kind: 'unknown-context',
      message: `${folder.path}/.kube/config has no context 'prod'; the contexts there are: test`,
    })
  })

  test('is nowhere, and that is said', async () => {
    await expect(readCluster({ root: folder.path })).rejects.toMatchObject({
      kind: 'no-configuration',
      message: expect.stringContaining(
        'there is no cluster to read: give --kubeconfig FILE or set KUBECONFIG',
      ) as string,
    })
    await expect(readCluster({ context: 'prod' })).rejects.toMatchObject({ kind: 'unknown-context' })
  })

  test("is the pod's service account when there is no kubeconfig, or when asked for", async () => {
    await using server = await tlsServer('server', 'pod-token')
    const mounted = `${folder.path}/var/run/secrets/kubernetes.io/serviceaccount`
    mkdirSync(mounted, { recursive: true })
    writeFileSync(`${mounted}/token`, 'pod-token\n')
    writeFileSync(`${mounted}/ca.crt`, readFileSync(tlsFile('ca.crt')))
    await expect(readCluster({ inCluster: true, root: folder.path })).rejects.toMatchObject({
      kind: 'no-configuration',
    })
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '127.0.0.1')
    vi.stubEnv('KUBERNETES_SERVICE_PORT', String(server.port))
    expect((await readCluster({ root: folder.path })).objects).toHaveLength(1)
    mkdirSync(`${folder.path}/.kube`)
    folder.write('.kube/config', 'contexts: x')
    expect((await readCluster({ root: folder.path, inCluster: true })).objects).toHaveLength(1)
  })

  test("is the master's URL over the kubeconfig's, and alone means no credentials", async () => {
    await using server = await startApiServer({ token: 't' })
    const kubeconfig = folder.write('config', oneContext({ server: 'https://10.0.0.1' }, { token: 't' }))
    expect((await readCluster({ kubeconfig, master: server.url })).server).toBe(server.url)
    mkdirSync(`${folder.path}/.kube`)
    folder.write('.kube/config', oneContext({ server: 'https://10.0.0.1' }, { token: 't' }))
    await expect(readCluster({ master: server.url })).rejects.toMatchObject({ kind: 'unauthorized' })
    expect(server.requests.at(-1)?.headers.authorization).toBeUndefined()
    server.token = undefined
    expect((await readCluster({ master: `127.0.0.1:${server.port}` })).server).toBe(server.url)
  })

  test.each(['ftp://host', 'https://', 'https://user:secret@host', 'not a url'])(
    'is not the URL %s',
    async (master) => {
      await expect(readCluster({ master })).rejects.toMatchObject({
        kind: 'kubeconfig',
        message: 'the server of --master is not a URL: write it like https://10.0.0.1:6443',
      })
    },
  )

  test('is a kubeconfig without server', async () => {
    await expect(read({})).rejects.toThrow('has no server for its cluster: add cluster.server, or give --master URL')
  })
})

test("goes through the kubeconfig's proxy", async () => {
  await using server = await tlsServer()
  const tunnels: string[] = []
  const proxy = createServer((client: Socket) => {
    client.once('data', (head: Buffer) => {
      const target = /^CONNECT (\S+):(\d+)/.exec(head.toString())
      tunnels.push(target?.[0] ?? '')
      const upstream = connect(Number(target?.[2]), target?.[1] ?? '', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n')
        client.pipe(upstream).pipe(client)
      })
      for (const socket of [client, upstream]) socket.on('error', () => {})
    })
  })
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve)
  })
  const { port } = proxy.address() as AddressInfo
  try {
    expect(await read({ server: server.url, ...authority, 'proxy-url': `http://127.0.0.1:${port}` })).toBe(1)
    expect(tunnels[0]).toBe(`CONNECT 127.0.0.1:${server.port}`)
  } finally {
    proxy.close()
  }
})
