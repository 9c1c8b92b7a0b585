// HTTP/1.1: as many kept-alive connections as there are answers open at once.
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import {
  type Endpoint,
  type OpenAnswer,
  type Question,
  readRetryAfter,
  startTcp,
  startTls,
  type Transport,
} from './transport.ts'

const MOST_IDLE = 3

/** `first` is a socket that is connected already, from finding out what the server speaks. */
export function openHttp1(endpoint: Endpoint, first?: Socket): Transport {
  const isPlain = endpoint.url.protocol === 'http:'
  const options = { keepAlive: true, maxFreeSockets: MOST_IDLE }
  const agent = isPlain ? new http.Agent(options) : new https.Agent(options)
  let spare = first
  agent.createConnection = () => {
    const socket = spare
    spare = undefined
    if (socket !== undefined && !socket.destroyed) return socket
    return isPlain ? startTcp(endpoint) : startTls(endpoint, ['http/1.1'])
  }
  const start = isPlain ? http.request : https.request

  function send({ path, headers, body }: Question, signal: AbortSignal): Promise<OpenAnswer> {
    const method = body === undefined ? 'GET' : 'POST'
    return new Promise((resolve, reject) => {
      const request = start(endpoint.url.origin + path, { agent, method, headers, signal }, (response) => {
        // Whoever reads the body hears of errors; without a reader they would end the process.
        response.on('error', () => {})
        const { statusCode = 0, headers: answered } = response
        resolve({ status: statusCode, body: response, ...readRetryAfter(answered['retry-after']) })
      })
      request.on('error', reject)
      request.end(body)
    })
  }

  return {
    protocol: 'HTTP/1.1',
    isUsable: () => true,
    send,
    retire: () => {
      agent.maxFreeSockets = 0
      spare?.destroy()
      for (const idle of Object.values(agent.freeSockets)) for (const socket of idle ?? []) socket.destroy()
    },
    close: () => {
      spare?.destroy()
      agent.destroy()
    },
  }
}
