import { copyFileSync, utimesSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Connection, type OpenAnswer, openConnection, readBody } from '../../../src/kube/api/connection.ts'
import { openCredentials } from '../../../src/kube/api/credentials.ts'
import { connectTo } from '../../support/api-connection.ts'
import { type ApiServer, startApiServer, type TlsFiles, tlsFile } from '../../support/api-server.ts'
import { putSmallCluster, service } from '../../support/cluster-objects.ts'
import { fastClock } from '../../support/fast-clock.ts'
import { oneContext, temporaryFolder } from '../../support/kubeconfig-file.ts'

const SERVICES = '/api/v1/services'
const WATCH = `${SERVICES}?watch=true`
const clock = fastClock(1)
const never = new AbortController().signal

async function textOf(connection: Connection, answer: OpenAnswer, signal = never): Promise<string> {
  let text = ''
  await readBody(connection.server, answer, signal, (chunk) => {
    text += chunk.toString()
  })
  return text
}

async function get(connection: Connection, path: string) {
  const answer = await connection.open(path, never)
  return { status: answer.status, text: await textOf(connection, answer) }
}

const HTTP1: TlsFiles = { certificate: 'server', clientCa: 'ca' }
const HTTP2: TlsFiles = { ...HTTP1, http2: true }
const KINDS: readonly (readonly [string, TlsFiles | undefined])[] = [
  ['HTTP/1.1', undefined],
  ['HTTP/1.1 over TLS', HTTP1],
  ['HTTP/2', HTTP2],
]

function serve(tls: TlsFiles | undefined, token?: string): Promise<ApiServer> {
  return startApiServer({ ...(tls && { tls }), ...(token !== undefined && { token }) })
}

describe.each(KINDS)('over %s', (_, tls) => {
  test('answers of every status arrive, with the wait that the server asks for', async () => {
    await using server = await serve(tls)
    using connection = connectTo(server, clock)
    putSmallCluster(server.store)
    const list = await get(connection, SERVICES)
    expect(list.status).toBe(200)
    expect(JSON.parse(list.text)).toMatchObject({ kind: 'ServiceList', items: [{}, {}] })
    expect((await get(connection, '/api/v1/nothing')).status).toBe(404)
    server.failNext(1, { kind: 'status', code: 429, retryAfter: 7 })
    const refused = await connection.open(SERVICES, never)
    expect(refused).toMatchObject({ status: 429, retryAfterMs: 7000 })
    expect(server.requests[0]?.headers).toMatchObject({ accept: 'application/json', 'user-agent': 'sluice' })
  })

  test('requests one after the other, and three watches at once, take as few connections as can be', async () => {
    await using server = await serve(tls)
    using connection = connectTo(server, clock)
    for (let n = 0; n < 5; n += 1) await get(connection, SERVICES)
    expect(server.connections).toBe(1)
    await Promise.all([1, 2, 3].map(() => connection.open(WATCH, never)))
    expect(server.connections).toBe(tls?.http2 === true ? 1 : 3)
    expect(connection.protocol()).toBe(tls?.http2 === true ? 'HTTP/2' : 'HTTP/1.1')
  })

  test('an aborted watch ends at once, and at the server too', async () => {
    await using server = await serve(tls)
    using connection = connectTo(server, clock)
    const controller = new AbortController()
    const answer = await connection.open(WATCH, controller.signal)
    const reading = textOf(connection, answer, controller.signal)
    controller.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    await expect.poll(() => server.watches.size).toBe(0)
    await expect(connection.open(WATCH, controller.signal)).rejects.toThrow('enough')
  })

  test('a request that is never answered can be aborted', async () => {
    await using server = await serve(tls)
    using connection = connectTo(server, clock)
    server.failNext(1, { kind: 'hang' })
    const controller = new AbortController()
    const asked = connection.open(SERVICES, controller.signal)
    await expect.poll(() => server.requests.length).toBe(1)
    controller.abort(new Error('too slow'))
    await expect(asked).rejects.toThrow('too slow')
  })

  test.each(['cut', 'drop'] as const)('an answer that is %s is an error, never a short answer', async (kind) => {
    await using server = await serve(tls)
    using connection = connectTo(server, clock)
    for (let n = 0; n < 50; n += 1) server.store.put('services', service(`s${n}`))
    server.failNext(1, { kind })
    await expect(get(connection, SERVICES)).rejects.toMatchObject({ name: 'ClusterError', kind: 'unreachable' })
    expect((await get(connection, SERVICES)).status).toBe(200)
  })

  test('what is posted arrives, or is refused in a sentence', async () => {
    await using server = await serve(tls)
    using connection = connectTo(server, clock)
    await connection.post('/apis/events.k8s.io/v1/namespaces/default/events', '{"note":"é"}', never)
    expect(server.posted).toEqual(['{"note":"é"}'])
    server.failNext(1, { kind: 'status', code: 403 })
    await expect(connection.post('/x/events', '{}', never)).rejects.toThrow(/does not allow this user to create in/)
    server.failNext(1, { kind: 'hang' })
    using hasty = connectTo(server, fastClock(300))
    await expect(hasty.post('/x/events', '{}', never)).rejects.toThrow(/does not answer in time/)
    expect(server.connections).toBe(2)
  })

  test('when the server dies, open watches fail and the next request finds it again', async () => {
    await using server = await serve(tls)
    using connection = connectTo(server, clock)
    const answers = await Promise.all([1, 2].map(() => connection.open(WATCH, never)))
    const readings = answers.map((answer) => textOf(connection, answer))
    server.cutConnections()
    for (const reading of readings) await expect(reading).rejects.toMatchObject({ kind: 'unreachable' })
    expect((await get(connection, SERVICES)).status).toBe(200)
  })

  test('a refused token is read again and the request repeated, once', async () => {
    using folder = temporaryFolder()
    const tokenFile = folder.write('token', 'old')
    await using server = await serve(tls, 'old')
    using connection = connectTo(server, clock, { tokenFile })
    expect((await get(connection, SERVICES)).status).toBe(200)
    server.token = 'new'
    expect((await get(connection, SERVICES)).status).toBe(401)
    folder.write('token', 'new')
    expect((await get(connection, SERVICES)).status).toBe(200)
    expect(server.requests).toHaveLength(4)
  })
})

describe('TLS', () => {
  test('a client certificate is shown', async () => {
    await using server = await serve(HTTP2, 'secret')
    const user = { 'client-certificate': tlsFile('client.crt'), 'client-key': tlsFile('client.key') }
    using known = connectTo(server, clock, user)
    expect((await get(known, SERVICES)).status).toBe(200)
    using stranger = connectTo(server, clock)
    expect((await get(stranger, SERVICES)).status).toBe(401)
  })

  test.each(['expired', 'elsewhere'])('the certificate %s is refused', async (certificate) => {
    await using server = await serve({ certificate, http2: true })
    using connection = connectTo(server, clock)
    await expect(connection.open(SERVICES, never)).rejects.toMatchObject({ kind: 'tls' })
  })

  test.each([HTTP1, HTTP2])('a rotated CA is used for the next request, and open answers go on (%j)', async (tls) => {
    using folder = temporaryFolder()
    const ca = folder.write('ca.crt', '')
    copyFileSync(tlsFile('ca.crt'), ca)
    await using server = await serve(tls)
    const kubeconfig = folder.write('config', oneContext({ server: server.url, 'certificate-authority': ca }))
    const connection = openConnection({ credentials: openCredentials({ kubeconfig, clock }), clock })
    onTestFinished(() => {
      connection.close()
    })
    const watch = await connection.open(WATCH, never)
    copyFileSync(tlsFile('other-ca.crt'), ca)
    utimesSync(ca, new Date(), new Date(Date.now() + 5000))
    await expect(connection.open(SERVICES, never)).rejects.toMatchObject({ kind: 'tls' })
    writeFileSync(ca, '\n')
    copyFileSync(tlsFile('ca.crt'), ca)
    utimesSync(ca, new Date(), new Date(Date.now() + 9000))
    expect((await get(connection, SERVICES)).status).toBe(200)
    server.store.put('services', service('late'))
    server.watches.end()
    expect(await textOf(connection, watch)).toContain('"late"')
  })
})

describe('a server that is not there', () => {
  test('is reported as unreachable', async () => {
    using connection = connectTo({ url: 'http://127.0.0.1:1' }, clock)
    await expect(connection.open(SERVICES, never)).rejects.toThrow(/can't be reached: nothing listens there/)
  })

  test('and accepts connections without a word, is given up after a while', async () => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => {
      silent.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => {
      silent.close()
    })
    const { port } = silent.address() as AddressInfo
    using connection = connectTo({ url: `https://127.0.0.1:${port}` }, fastClock(300))
    await expect(connection.open(SERVICES, never)).rejects.toMatchObject({ kind: 'unreachable' })
  })

  test('any more, though nobody closed the connection, is noticed by HTTP/2 pings', async () => {
    await using server = await serve(HTTP2)
    using relay = await startRelay(server.port)
    using connection = connectTo({ url: `https://127.0.0.1:${relay.port}` }, fastClock(300))
    const answer = await connection.open(WATCH, never)
    const reading = textOf(connection, answer)
    // Pings are answered: after several of them the watch is still there.
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(server.watches.size).toBe(1)
    relay.freeze()
    await expect(reading).rejects.toMatchObject({ kind: 'unreachable' })
  })
})

/** Passes bytes on until it is frozen: then it swallows them, as a firewall that forgot the connection. */
async function startRelay(port: number): Promise<Disposable & { readonly port: number; freeze: () => void }> {
  const { connect } = await import('node:net')
  let isFrozen = false
  const relay = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    client.on('data', (bytes) => isFrozen || upstream.write(bytes))
    upstream.on('data', (bytes) => isFrozen || client.write(bytes))
    for (const socket of [client, upstream]) socket.on('error', () => {})
    client.on('close', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => {
    relay.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (relay.address() as AddressInfo).port,
    freeze: () => {
      isFrozen = true
    },
    [Symbol.dispose]: () => {
      relay.close()
    },
  }
}
