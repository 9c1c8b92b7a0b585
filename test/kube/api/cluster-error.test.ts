import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import {
  describeStatus,
  describeTransportFailure,
  oneLine,
  statusMessage,
} from '../../../src/kube/api/cluster-error.ts'

const SERVER = 'https://10.0.0.1:6443'
const answer = (body: string) => ({ status: 500, body })

describe('a connection that failed', () => {
  test.each([
    ['ENOTFOUND', 'unreachable', 'its host name is unknown'],
    ['EAI_AGAIN', 'unreachable', 'could not be looked up'],
    ['EHOSTUNREACH', 'unreachable', 'no way to that host'],
    ['ENETUNREACH', 'unreachable', 'no way to that network'],
    ['CERT_NOT_YET_VALID', 'tls', 'not valid yet'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls', 'an authority that is not trusted'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tls', 'refuses the client certificate'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tls', 'refuses the client certificate'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls', 'does not speak TLS'],
    ['EWHATEVER', 'unreachable', 'reading https://10.0.0.1:6443 failed: it broke'],
  ])('with %s is %s', (code, kind, words) => {
    const failure = describeTransportFailure(SERVER, Object.assign(new Error('it broke'), { code }))
    expect(failure).toMatchObject({ kind, name: 'ClusterError' })
    expect(failure.message).toContain(words)
    expect(failure.message).toContain(SERVER)
  })

  test('with several addresses is told by the first', () => {
    const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' })
    expect(describeTransportFailure(SERVER, new AggregateError([refused])).message).toContain('nothing listens there')
  })
})

describe('what strangers say', () => {
  test('is quoted from a Status, from plain text, and not from HTML', () => {
    expect(statusMessage(answer('{"kind":"Status","message":"etcd is down"}'))).toBe('etcd is down')
    expect(statusMessage(answer('upstream timed out\n'))).toBe('upstream timed out')
    expect(statusMessage(answer('<html><h1>Bad gateway</h1></html>'))).toBeUndefined()
    expect(describeStatus(SERVER, 'list nodes', answer('')).message).not.toContain('says')
  })

  test('is one line without control characters, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const quoted = oneLine(`a\u001B[31m${text}\r\nb`)
        expect(quoted).not.toMatch(/\p{Cc}/u)
        expect(quoted.length).toBeLessThanOrEqual(303)
      }),
    )
  })
})
