// What the end of a watch means; most of it is held through whole reflectors in reflector.test.ts.
import { expect, test } from 'vitest'
import type { Inquiry } from '../../../src/kube/api/inquiry.ts'
import { judgeStatus } from '../../../src/kube/api/watch-end.ts'

const INQUIRY: Pick<Inquiry, 'server' | 'resource' | 'abilities'> = {
  server: 'https://10.0.0.1:6443',
  resource: { name: 'services' },
  abilities: { streamsLists: true, selectsByField: true },
}

test('what a server says of itself is one line of bounded length, without control characters', () => {
  const status = { code: 500, reason: 'Internal\nError', message: `a\n\u001b[31mb\u202e${'c'.repeat(1000)}` }
  const { message } = judgeStatus(status, false, INQUIRY)
  expect(message).toMatch(
    /^https:\/\/10\.0\.0\.1:6443 ended the watch of services: Internal Error: a \[31mb c{200,300}\.\.\.$/,
  )
})
