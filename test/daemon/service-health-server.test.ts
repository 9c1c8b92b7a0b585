// Listeners of health check node ports, with real sockets on loopback addresses.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { HealthChecks } from '../../src/daemon/service-health.ts'
import { createServiceHealthServer, type ServiceHealthServer } from '../../src/daemon/service-health-server.ts'
import { type Ip, parseIp } from '../../src/model/address.ts'
import { ask } from '../support/raw-http.ts'
import { SILENT_LOG } from '../support/silent-log.ts'

const V4 = [ip('127.0.0.1')]
const open: ServiceHealthServer[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})

function start(addresses: 'any' | readonly Ip[] = V4, isHealthy: () => boolean = () => true) {
  const failures: string[] = []
  const server = createServiceHealthServer({
    family: addresses === 'any' || !addresses[0]?.includes(':') ? 'ipv4' : 'ipv6',
    addresses,
    isHealthy,
    log: SILENT_LOG,
    onFailure: (service, port, error) => failures.push(`${service} ${port} ${(error as NodeJS.ErrnoException).code}`),
  })
  open.push(server)
  return { server, failures }
}

function checks(...list: readonly (readonly [service: string, port: number, count: number])[]): HealthChecks {
  return new Map(list.map(([service, port, localEndpoints]) => [service, { port, localEndpoints }]))
}

function ip(text: string): Ip {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  server.listen({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

describe('answers', () => {
  test('any path and method gets the count and the health, with the headers in order', async () => {
    const { server } = start()
    const port = await freePort()
    await server.sync(checks(['a/b', port, 2]))
    expect(await ask({ port, path: '/what/ever?x', method: 'POST', body: 'text' })).toEqual({
      status: '200 OK',
      headers: [
        'Content-Type: application/json',
        'X-Content-Type-Options: nosniff',
        'X-Load-Balancing-Endpoint-Weight: 2',
        'Content-Length: 106',
      ],
      body: '{\n\t"service": {\n\t\t"namespace": "a",\n\t\t"name": "b"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
    })
  })

  test('no endpoint or an unhealthy proxy is 503', async () => {
    let healthy = true
    const { server } = start(V4, () => healthy)
    const port = await freePort()
    await server.sync(checks(['a/b', port, 0]))
    expect((await ask({ port }))?.status).toBe('503 Service Unavailable')
    await server.sync(checks(['a/b', port, 1]))
    expect((await ask({ port }))?.status).toBe('200 OK')
    healthy = false
    expect((await ask({ port }))?.body).toContain('"serviceProxyHealthy": false')
    expect((await ask({ port }))?.status).toBe('503 Service Unavailable')
  })

  test('without a health server the connection is dropped', async () => {
    const server = createServiceHealthServer({ family: 'ipv4', addresses: V4, log: SILENT_LOG, onFailure: () => {} })
    open.push(server)
    const port = await freePort()
    await server.sync(checks(['a/b', port, 1]))
    const outcome = await ask({ port }).catch((error: NodeJS.ErrnoException) => error.code)
    expect([undefined, 'ECONNRESET']).toContain(outcome)
  })
})

describe('listening', () => {
  test('a Service that goes is closed, one with another port moves, others keep their connections', async () => {
    const { server, failures } = start()
    const [one, two, three] = [await freePort(), await freePort(), await freePort()]
    await server.sync(checks(['a/keep', one, 1], ['a/move', two, 1]))
    const agent = await fetch(`http://127.0.0.1:${one}/`)
    expect(agent.status).toBe(200)
    await server.sync(checks(['a/keep', one, 3], ['a/move', three, 1]))
    expect((await ask({ port: one }))?.headers).toContain('X-Load-Balancing-Endpoint-Weight: 3')
    await expect(ask({ port: two })).rejects.toThrow('ECONNREFUSED')
    expect((await ask({ port: three }))?.status).toBe('200 OK')
    await server.sync(new Map())
    await expect(ask({ port: one })).rejects.toThrow('ECONNREFUSED')
    expect(failures).toEqual([])
  })

  test('of two Services with one port the second fails at each sync, and gets it when the first goes', async () => {
    const { server, failures } = start()
    const port = await freePort()
    const both = checks(['a/first', port, 1], ['a/second', port, 2])
    await server.sync(both)
    await server.sync(both)
    expect(failures).toEqual([`a/second ${port} EADDRINUSE`, `a/second ${port} EADDRINUSE`])
    expect((await ask({ port }))?.body).toContain('"name": "first"')
    await server.sync(checks(['a/second', port, 2]))
    expect((await ask({ port }))?.body).toContain('"name": "second"')
    expect(failures).toHaveLength(2)
  })

  test('a port goes from one Service to another within one sync', async () => {
    const { server, failures } = start()
    const port = await freePort()
    await server.sync(checks(['a/old', port, 1]))
    await server.sync(checks(['a/new', port, 1]))
    expect((await ask({ port }))?.body).toContain('"name": "new"')
    expect(failures).toEqual([])
  })

  test('it listens on each address, or on none of them when one fails', async () => {
    const port = await freePort()
    const blocker = createServer()
    blocker.listen({ port, host: '127.0.0.2' })
    await once(blocker, 'listening')
    const { server, failures } = start([ip('127.0.0.1'), ip('127.0.0.2')])
    await server.sync(checks(['a/b', port, 1]))
    expect(failures).toEqual([`a/b ${port} EADDRINUSE`])
    await expect(ask({ port, host: '127.0.0.1' })).rejects.toThrow('ECONNREFUSED')
    blocker.close()
    await once(blocker, 'close')
    await server.sync(checks(['a/b', port, 1]))
    expect((await ask({ port, host: '127.0.0.1' }))?.status).toBe('200 OK')
    expect((await ask({ port, host: '127.0.0.2' }))?.status).toBe('200 OK')
  })

  test('both families listen on one port, each on its own addresses', async () => {
    const port = await freePort()
    const four = start()
    const six = start([ip('::1')])
    await four.server.sync(checks(['a/b', port, 4]))
    await six.server.sync(checks(['a/b', port, 6]))
    expect((await ask({ port }))?.body).toContain('"localEndpoints": 4')
    expect((await ask({ port, host: '::1' }))?.body).toContain('"localEndpoints": 6')
  })

  test('without a matching address there is no listener and no failure', async () => {
    const { server, failures } = start([])
    await server.sync(checks(['a/b', await freePort(), 1]))
    expect([...server.open().keys()]).toEqual(['a/b'])
    expect(failures).toEqual([])
  })
})
