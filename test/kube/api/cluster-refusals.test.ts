import { describe, expect, test } from 'vitest'
import { readCluster } from '../../../src/kube/api/cluster.ts'
import { type ApiServer, startApiServer } from '../../support/api-server.ts'
import { putSmallCluster } from '../../support/cluster-objects.ts'

async function smallServer(): Promise<ApiServer> {
  const server = await startApiServer()
  putSmallCluster(server.store)
  return server
}

describe('a server that refuses', () => {
  test('credentials is reported with what to do', async () => {
    await using server = await startApiServer({ token: 'secret' })
    await expect(readCluster({ master: server.url })).rejects.toMatchObject({
      kind: 'unauthorized',
      message: expect.stringContaining(
        `${server.url} does not accept the credentials (401): renew the token`,
      ) as string,
    })
  })

  test('a list is reported with verb and resource', async () => {
    await using server = await smallServer()
    server.forbidden.add('endpointslices')
    await expect(readCluster({ master: server.url })).rejects.toMatchObject({
      kind: 'forbidden',
      message: expect.stringMatching(
        /does not allow this user to list endpointslices: grant the verb .*cannot list resource "endpointslices" in API group "discovery.k8s.io"/,
      ) as string,
    })
  })

  test.each([
    [{ kind: 'status', code: 404 }, 'does not know how to list services (404): check that it is the URL'],
    [
      { kind: 'text', body: '<html>Log in</html>' },
      '/api/v1/services is not a Kubernetes list: the answer is not JSON',
    ],
    [{ kind: 'text', body: '[]' }, 'the answer is not an object'],
    [{ kind: 'text', body: '{"kind":"Status"}' }, 'the answer is not a list'],
    [{ kind: 'text', body: '{"kind":"ServiceList","apiVersion":"v1","metadata":{}}' }, 'has no resourceVersion'],
    [{ kind: 'status', code: 302 }, 'answered 302 when asked to list services: check that it is the URL'],
  ] as const)('to be an API server (%o) is reported', async (fault, words) => {
    await using server = await smallServer()
    server.failNext(1, fault)
    await expect(readCluster({ master: server.url })).rejects.toThrow(words)
  })

  test('to end its pages is reported', async () => {
    await using server = await smallServer()
    const metadata = { resourceVersion: '1', continue: 'again' }
    server.failNext(2, {
      kind: 'text',
      body: JSON.stringify({ kind: 'ServiceList', apiVersion: 'v1', metadata, items: null }),
    })
    await expect(readCluster({ master: server.url })).rejects.toThrow('its pages never end')
  })

  test('connections is unreachable', async () => {
    const server = await startApiServer()
    const { url } = server
    await server.close()
    await expect(readCluster({ master: url })).rejects.toMatchObject({
      kind: 'unreachable',
      message: `${url} can't be reached: nothing listens there; check the address and port, and that the API server runs (ECONNREFUSED)`,
    })
  })
})
