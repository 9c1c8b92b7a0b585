// Clusters that can't be read, through the whole command.
import { describe, expect, test } from 'vitest'
import { type ApiServer, startApiServer, tlsFile } from '../support/api-server.ts'
import { oneContext } from '../support/kubeconfig-file.ts'
import { type Ended, sluice } from './command.ts'
import { useOwnHome } from './own-home.ts'

const { folder, said } = useOwnHome()

describe('a cluster that can not be read is exit code 2', () => {
  async function renderFrom(cluster: object, user: object = {}): Promise<Ended> {
    return sluice(['render', '--kubeconfig', folder.write('config', oneContext(cluster, user)), '--node', 'n1'])
  }

  test('because nothing listens there', async () => {
    const server = await startApiServer()
    const { url } = server
    await server.close()
    const ended = await renderFrom({ server: url })
    expect(said(ended)).toEqual([
      `sluice: ${url} can't be reached: nothing listens there; check the address and port, and that the API server runs (ECONNREFUSED)`,
    ])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('because it does not accept the credentials', async () => {
    await using server = await startApiServer({ token: 'right' })
    const ended = await renderFrom({ server: server.url }, { token: 'wrong' })
    expect(said(ended)).toEqual([
      `sluice: ${server.url} does not accept the credentials (401): renew the token or client certificate of the kubeconfig's user, or choose another --context`,
    ])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('because it does not allow the read', async () => {
    await using server = await startApiServer()
    server.forbidden.add('nodes')
    const ended = await renderFrom({ server: server.url })
    expect(said(ended)).toEqual([
      expect.stringContaining(`${server.url} does not allow this user to list nodes: grant the verb`) as string,
    ])
    expect(ended.code).toBe(2)
  })

  test.each([
    ['server', 'other-ca.crt', 'its certificate is signed by an authority that is not trusted'],
    ['expired', 'ca.crt', 'its certificate has expired'],
    ['elsewhere', 'ca.crt', 'its certificate is for another host name'],
  ])('because of TLS: certificate %s with CA %s', async (certificate, ca, reason) => {
    await using server: ApiServer = await startApiServer({ tls: { certificate } })
    const ended = await renderFrom({ server: server.url, 'certificate-authority': tlsFile(ca) })
    expect(said(ended)).toEqual([
      expect.stringContaining(`sluice: no secure connection to ${server.url}: ${reason}`) as string,
    ])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('because nothing says which', async () => {
    const ended = await sluice(['render'])
    expect(said(ended)).toEqual([
      expect.stringMatching(
        /^sluice: there is no cluster to read: give --kubeconfig FILE .*; or give manifests: -f FILE, -f FOLDER or -f -$/,
      ),
    ])
    expect(ended.code).toBe(2)
  })
})
