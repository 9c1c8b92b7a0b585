// Listening for ever: taken ports, hard failure, closing.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { keepListening } from '../../src/daemon/http-listener.ts'
import { type Answer, textReply } from '../../src/daemon/http-reply.ts'
import type { Log } from '../../src/daemon/log.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { ask } from '../support/raw-http.ts'
import { SILENT_LOG } from '../support/silent-log.ts'

const HELLO: Answer = () => textReply(200, 'hello')

async function takePort() {
  const server = createServer()
  server.listen({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    free: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

describe('a taken port', () => {
  test('is tried again every 5 s until it is free', async () => {
    const taken = await takePort()
    const clock = createFakeClock()
    const failures = createFailureCounter()
    const address = `127.0.0.1:${taken.port}`
    const listener = keepListening({ name: 'test', address, answer: HELLO, log: failures.log, clock })
    await failures.reached(1)
    expect(clock.waiting()).toEqual([5000])
    clock.advance(5000)
    await failures.reached(2)
    expect(listener.address()).toBeUndefined()
    await taken.free()
    clock.advance(5000)
    expect((await listener.listening).port).toBe(taken.port)
    expect((await ask({ port: taken.port }))?.body).toBe('hello')
    await listener.close()
  })

  test('is fatal with bindAddressHardFail, once', async () => {
    const taken = await takePort()
    const clock = createFakeClock()
    const error = await new Promise<Error>((resolve) => {
      const address = `127.0.0.1:${taken.port}`
      keepListening({ name: 'test', address, answer: HELLO, log: SILENT_LOG, clock, onFatal: resolve })
    })
    expect(error.message).toContain('EADDRINUSE')
    expect(clock.waiting()).toEqual([])
    await taken.free()
  })

  test('is not tried again after closing', async () => {
    const taken = await takePort()
    const clock = createFakeClock()
    const failures = createFailureCounter()
    const address = `127.0.0.1:${taken.port}`
    const listener = keepListening({ name: 'test', address, answer: HELLO, log: failures.log, clock })
    await failures.reached(1)
    await listener.close()
    expect(clock.waiting()).toEqual([])
    await taken.free()
  })
})

describe('answers', () => {
  test('an empty address listens nowhere', async () => {
    const listener = keepListening({
      name: 'test',
      address: '',
      answer: HELLO,
      log: SILENT_LOG,
      clock: createFakeClock(),
    })
    expect(listener.address()).toBeUndefined()
    await listener.close()
  })

  test('an address without port is refused', () => {
    const options = { name: 'test', address: '127.0.0.1', answer: HELLO, log: SILENT_LOG, clock: createFakeClock() }
    expect(() => keepListening(options)).toThrow('write one such as 127.0.0.1:10249')
  })

  test('the IPv4 wildcard answers on IPv6 too, as in Go', async () => {
    const listener = keepListening({
      name: 'test',
      address: '0.0.0.0:0',
      answer: HELLO,
      log: SILENT_LOG,
      clock: createFakeClock(),
    })
    const { port } = await listener.listening
    expect((await ask({ port, host: '127.0.0.1' }))?.body).toBe('hello')
    expect((await ask({ port, host: '::1' }))?.body).toBe('hello')
    await listener.close()
  })

  test('a page that fails is an internal error and the server goes on', async () => {
    const answer: Answer = ({ path }) => {
      if (path === '/bad') throw new Error('secret detail')
      return textReply(200, 'good')
    }
    const listener = keepListening({
      name: 'test',
      address: '[::1]:0',
      answer,
      log: SILENT_LOG,
      clock: createFakeClock(),
    })
    const { port } = await listener.listening
    const bad = await ask({ port, host: '::1', path: '/bad' })
    expect([bad?.status, bad?.body.includes('secret')]).toEqual(['500 Internal Server Error', false])
    expect((await ask({ port, host: '::1', path: '/good' }))?.body).toBe('good')
    expect((await ask({ port, host: '::1', method: 'HEAD' }))?.body).toBe('')
    await listener.close()
  })
})

/** `reached(n)` resolves when n failures were logged and what follows each of them is done. */
function createFailureCounter() {
  let count = 0
  const log: Log = {
    ...SILENT_LOG,
    error: () => {
      count += 1
    },
  }
  const reached = (wanted: number) => vi.waitFor(() => expect(count).toBe(wanted), { timeout: 30_000, interval: 5 })
  return { log, reached }
}
