// Starts the API server's test double as a process, and asks it.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Calls, Trouble, Write } from './api-double.ts'

export interface ApiDouble {
  readonly pid: number | undefined
  fill(services: number): Promise<{ readonly url: string }>
  /** Sends the events; when the first was about to be sent, see clock.ts. */
  write(...writes: readonly Write[]): Promise<number>
  /** When Services were first listed since the last call. */
  firstList(): Promise<number | undefined>
  trouble(trouble: Trouble): Promise<void>
  objects(): Promise<readonly object[]>
  close(): Promise<void>
}

export function startApiDouble(): ApiDouble {
  const child = fork(fileURLToPath(new URL('./api-double.ts', import.meta.url)), { serialization: 'advanced' })
  const waiting = new Map<number, (answer: never) => void>()
  let calls = 0
  child.on('message', (message) => {
    const { id, answer } = message as { readonly id: number; readonly answer: never }
    waiting.get(id)?.(answer)
    waiting.delete(id)
  })
  const ended = once(child, 'exit')
  const call = <Kind extends keyof Calls>(kind: Kind, request: Calls[Kind]['request']) =>
    new Promise<Calls[Kind]['answer']>((resolve, reject) => {
      calls += 1
      waiting.set(calls, resolve)
      void ended.then(() => reject(new Error('the API double ended')))
      child.send({ id: calls, kind, ...request }, (error) => error && reject(error))
    })
  return {
    pid: child.pid,
    fill: (services) => call('fill', { services }),
    write: async (...writes) => (await call('write', { writes })).at,
    firstList: async () => (await call('firstList', {})).at,
    trouble: async (trouble) => void (await call('trouble', { trouble })),
    objects: async () => (await call('objects', {})).objects,
    close: async () => {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}
