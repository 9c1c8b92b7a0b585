// The process that a DaemonPlace lives by: it stands in a network namespace of its own, opens listeners and connections
// there for the test's process, and ends with it.
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { ask, type RawRequest } from './raw-http.ts'

export type AgentCall =
  /** Answered with the listener itself: a socket stays in the namespace where it was made. */
  | { readonly kind: 'listen'; readonly port: number }
  | { readonly kind: 'ask'; readonly request: RawRequest }
  /** Below /proc, most of the network's files differ from namespace to namespace. */
  | { readonly kind: 'read'; readonly path: string }

export interface AgentRequest {
  readonly id: number
  readonly call: AgentCall
}

export interface AgentAnswer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

async function answer(call: AgentCall): Promise<{ readonly value?: unknown; readonly server?: Server }> {
  switch (call.kind) {
    case 'listen': {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(call.port, '127.0.0.1', resolve)
      })
      return { server }
    }
    case 'ask':
      return { value: await ask(call.request) }
    case 'read':
      return { value: await readFile(call.path, 'utf8') }
    default:
      return call satisfies never
  }
}

process.on('message', ({ id, call }: AgentRequest) => {
  answer(call).then(
    // What was sent stays open here too, and would take every other connection.
    ({ value, server }) => process.send?.({ id, value } satisfies AgentAnswer, server, {}, () => server?.close()),
    (error: unknown) => process.send?.({ id, error: String(error) } satisfies AgentAnswer),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ id: 0 } satisfies AgentAnswer)
