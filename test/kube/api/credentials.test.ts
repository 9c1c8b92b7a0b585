import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/kube/api/clock.ts'
import { ClusterError } from '../../../src/kube/api/cluster-error.ts'
import { openCredentials } from '../../../src/kube/api/credentials.ts'
import { tlsFile } from '../../support/api-server.ts'
import { fastClock } from '../../support/fast-clock.ts'
import { type Folder, oneContext, temporaryFolder } from '../../support/kubeconfig-file.ts'

let folder: Folder
let time: number
beforeEach(() => {
  folder = temporaryFolder()
  time = 0
})
afterEach(() => {
  folder[Symbol.dispose]()
})

const clock: Clock = { ...fastClock(1), now: () => time }
const CLUSTER = { server: 'https://10.0.0.1:6443' }
const pem = (name: string) => readFileSync(tlsFile(name), 'utf8')

function open(cluster: object = CLUSTER, user: object = {}) {
  return openCredentials({ kubeconfig: folder.write('config', oneContext(cluster, user)), clock })
}

/** Another content, and another time even if the file system's clock is coarse. */
function rewrite(name: string, content: string): void {
  const file = path.join(folder.path, name)
  writeFileSync(file, content)
  utimesSync(file, new Date(), new Date(Date.now() + 5000))
}

describe('a kubeconfig', () => {
  test('gives server, server name and no authorization for a user without credentials', () => {
    const source = open({ ...CLUSTER, 'tls-server-name': 'api.example', 'insecure-skip-tls-verify': true })
    expect(source.server).toBe('https://10.0.0.1:6443')
    expect(source.current()).toEqual({ tls: { servername: 'api.example', rejectUnauthorized: false } })
  })

  test.each([
    [{ token: 'abc\n' }, 'Bearer abc'],
    [{ username: 'me', password: 'pw' }, `Basic ${Buffer.from('me:pw').toString('base64')}`],
    [{ token: 'abc', username: 'me', password: 'pw' }, 'Bearer abc'],
  ])('authorizes %j', (user, expected) => {
    expect(open(CLUSTER, user).current().authorization).toBe(expected)
  })

  test('takes certificates from files and from base64, which wins', () => {
    const files = { 'client-certificate': tlsFile('client.crt'), 'client-key': tlsFile('client.key') }
    const fromFiles = open({ ...CLUSTER, 'certificate-authority': tlsFile('ca.crt') }, files)
    expect(fromFiles.current().tls).toEqual({ ca: pem('ca.crt'), cert: pem('client.crt'), key: pem('client.key') })
    const encoded = Buffer.from(pem('other-ca.crt')).toString('base64')
    const both = { 'certificate-authority': tlsFile('ca.crt'), 'certificate-authority-data': encoded }
    expect(open({ ...CLUSTER, ...both }).current().tls).toEqual({ ca: pem('other-ca.crt') })
  })

  test.each([
    [{}, { exec: { command: 'aws' } }, /credential plugin.*the daemon does not run/],
    [{}, { 'auth-provider': { name: 'gcp' } }, /auth-provider/],
    [{}, { as: 'admin' }, /impersonation/],
    [{ 'proxy-url': 'http://proxy:3128' }, {}, /proxy-url.*remove it/],
    [{}, { tokenFile: '/nowhere/token' }, /there is no \/nowhere\/token/],
    [{}, { token: 'a\u0007b' }, /characters that no header may hold/],
    [{ 'certificate-authority': '/nowhere/ca.crt' }, {}, /there is no \/nowhere\/ca.crt/],
    [{ 'certificate-authority-data': 'AAAA' }, {}, /not PEM in base64/],
    [{ server: '' }, {}, /has no server/],
    [{ server: 'ftp://x' }, {}, /is not a URL/],
  ])('with cluster %j and user %j is refused in a sentence', (cluster, user, message) => {
    expect(() => open({ ...CLUSTER, ...cluster }, user)).toThrow(ClusterError)
    expect(() => open({ ...CLUSTER, ...cluster }, user)).toThrow(message)
  })
})

describe('a token file', () => {
  test('wins over a token, is read again each minute, and at once when the server refuses the token', () => {
    const tokenFile = folder.write('token', 'one\n')
    const source = open(CLUSTER, { token: 'fixed', tokenFile })
    expect(source.current().authorization).toBe('Bearer one')
    rewrite('token', 'two\n')
    time = 59_999
    expect(source.current().authorization).toBe('Bearer one')
    time = 60_000
    expect(source.current().authorization).toBe('Bearer two')
    expect(source.renew()).toBe(false)
    rewrite('token', 'three')
    expect(source.renew()).toBe(true)
    expect(source.current().authorization).toBe('Bearer three')
  })

  test('that is gone or empty for a while costs nothing that was read before', () => {
    const tokenFile = folder.write('token', 'one')
    const source = open(CLUSTER, { tokenFile })
    rewrite('token', '')
    expect(source.renew()).toBe(false)
    rmSync(tokenFile)
    time = 200_000
    expect(source.current().authorization).toBe('Bearer one')
  })
})

describe('certificate files', () => {
  test('are read again when they change, and are the same settings while they do not', () => {
    const ca = folder.write('ca.crt', pem('ca.crt'))
    const source = open({ ...CLUSTER, 'certificate-authority': ca })
    const before = source.current().tls
    expect(source.current().tls).toBe(before)
    rewrite('ca.crt', pem('ca.crt'))
    expect(source.current().tls).toBe(before)
    rewrite('ca.crt', pem('other-ca.crt'))
    expect(source.current().tls).toEqual({ ca: pem('other-ca.crt') })
  })

  test('that are half written or gone for a while leave the last good ones in force', () => {
    const ca = folder.write('ca.crt', pem('ca.crt'))
    const source = open({ ...CLUSTER, 'certificate-authority': ca })
    rewrite('ca.crt', '')
    expect(source.current().tls).toEqual({ ca: pem('ca.crt') })
    rmSync(ca)
    expect(source.current().tls).toEqual({ ca: pem('ca.crt') })
  })
})

describe('without a kubeconfig', () => {
  test('a master alone is a server without credentials', () => {
    const source = openCredentials({ master: '10.0.0.1:8080/', clock })
    expect(source.server).toBe('http://10.0.0.1:8080')
    expect(source.current()).toEqual({ tls: {} })
  })

  test('a master replaces the server of the kubeconfig', () => {
    const kubeconfig = folder.write('config', oneContext(CLUSTER, { token: 'abc' }))
    const source = openCredentials({ kubeconfig, master: 'https://elsewhere:6443', clock })
    expect([source.server, source.current().authorization]).toEqual(['https://elsewhere:6443', 'Bearer abc'])
  })

  test('the service account of the pod is used, or missed in a sentence', () => {
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
    const options = { clock, environment, root: folder.path }
    expect(() => openCredentials(options)).toThrow(/give --kubeconfig FILE or --master URL/)
    mkdirSync(path.join(folder.path, 'var/run/secrets/kubernetes.io/serviceaccount'), { recursive: true })
    folder.write('var/run/secrets/kubernetes.io/serviceaccount/token', 'pod-token')
    folder.write('var/run/secrets/kubernetes.io/serviceaccount/ca.crt', pem('ca.crt'))
    const source = openCredentials(options)
    expect(source.server).toBe('https://[fd00::1]')
    expect(source.current()).toEqual({ authorization: 'Bearer pod-token', tls: { ca: pem('ca.crt') } })
  })
})
