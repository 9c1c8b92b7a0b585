// One HTTP request over a bare socket, so that tests see every byte of the answer.

import { once } from 'node:events'
import { connect } from 'node:net'

export interface RawAnswer {
  /** `200 OK` */
  readonly status: string
  /** In the order received, without Date. */
  readonly headers: readonly string[]
  readonly body: string
}

export interface RawRequest {
  readonly port: number
  readonly host?: string
  readonly path?: string
  readonly method?: string
  readonly body?: string
}

/** Undefined when the connection is closed without a byte. Rejects when nobody listens. */
export async function ask(request: RawRequest): Promise<RawAnswer | undefined> {
  const { port, host = '127.0.0.1', path = '/', method = 'GET', body = '' } = request
  const socket = connect({ port, host })
  await once(socket, 'connect')
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  let text = ''
  for await (const part of socket.setEncoding('utf8') as AsyncIterable<string>) text += part
  if (text === '') return undefined
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...headers] = text.slice(0, end).split('\r\n')
  return {
    status: first.replace('HTTP/1.1 ', ''),
    headers: headers.filter((line) => !line.startsWith('Date: ')),
    body: text.slice(end + 4),
  }
}
