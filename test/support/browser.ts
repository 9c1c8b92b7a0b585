// Headless Chromium, driven over the DevTools protocol with real clicks and keys: https://chromedevtools.github.io/devtools-protocol
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const START_MS = 60_000
const WAIT_MS = 30_000
/** Codes of keys that are no character. */
const KEY_CODES: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  Escape: 27,
  ' ': 32,
  PageUp: 33,
  PageDown: 34,
  End: 35,
  Home: 36,
  ArrowLeft: 37,
  ArrowUp: 38,
  ArrowRight: 39,
  ArrowDown: 40,
}

export interface Browser {
  readonly openPage: (size?: { readonly width: number; readonly height: number }) => Promise<Page>
  readonly close: () => Promise<void>
}

export interface Page {
  readonly goto: (url: string) => Promise<void>
  /** The value of a JavaScript expression. */
  readonly evaluate: <T>(expression: string) => Promise<T>
  /** Waits until the expression is true. */
  readonly until: (expression: string) => Promise<void>
  readonly click: (selector: string) => Promise<void>
  readonly press: (key: string, shift?: boolean) => Promise<void>
  readonly type: (text: string) => Promise<void>
  readonly setColours: (scheme: 'light' | 'dark') => Promise<void>
  readonly screenshot: (file: string) => Promise<void>
  /** Addresses that were asked for, but for those that the page's own policy stopped. */
  readonly requests: () => readonly string[]
  /** Exceptions, and what the browser logged as an error. */
  readonly problems: readonly string[]
}

/** The program, or undefined where it is not installed. */
export function findChromium(): string | undefined {
  for (const name of ['chromium', 'chromium-browser']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim()
    } catch {
      // The next one.
    }
  }
  return undefined
}

export async function startBrowser(program: string): Promise<Browser> {
  const profile = mkdtempSync(path.join(tmpdir(), 'sluice-browser-'))
  const child = spawn(
    program,
    // Root has no sandbox, and containers little shared memory.
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--hide-scrollbars',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const connection = await connect(await debuggerAddress(child))
  return {
    openPage: (size = { width: 1280, height: 860 }) => openPage(connection, size),
    close: async () => {
      connection.close()
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function debuggerAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const limit = setTimeout(() => reject(new Error(`chromium did not start: ${text}`)), START_MS)
    child.once('exit', () => reject(new Error(`chromium ended: ${text}`)))
    child.stderr?.on('data', (piece: Buffer) => {
      text += piece.toString()
      const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1]
      if (address === undefined) return
      clearTimeout(limit)
      resolve(address)
    })
  })
}

interface Connection {
  readonly send: (method: string, params?: object, session?: string) => Promise<Answer>
  readonly listen: (session: string, heard: (method: string, params: Answer) => void) => void
  readonly close: () => void
}

type Answer = Readonly<Record<string, unknown>>

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: Answer
  readonly result?: Answer
  readonly error?: { readonly message: string }
}

async function connect(address: string): Promise<Connection> {
  const socket = new WebSocket(address)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', () => reject(new Error(`no connection to ${address}`)))
  })
  let last = 0
  const open = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  const listeners = new Map<string, (method: string, params: Answer) => void>()
  socket.addEventListener('message', ({ data }) => {
    const { id, sessionId, method, params, result, error } = JSON.parse(String(data)) as Message
    if (id === undefined) {
      listeners.get(sessionId ?? '')?.(method ?? '', params ?? {})
      return
    }
    const waiting = open.get(id)
    open.delete(id)
    if (error === undefined) waiting?.resolve(result ?? {})
    else waiting?.reject(new Error(error.message))
  })
  return {
    send: (method, params = {}, session) => {
      last += 1
      const id = last
      socket.send(JSON.stringify({ id, method, params, ...(session !== undefined && { sessionId: session }) }))
      return new Promise((resolve, reject) => open.set(id, { resolve, reject }))
    },
    listen: (session, heard) => void listeners.set(session, heard),
    close: () => socket.close(),
  }
}

type Send = (method: string, params?: object) => Promise<Answer>
type Evaluate = Page['evaluate']

async function openPage(
  connection: Connection,
  size: { readonly width: number; readonly height: number },
): Promise<Page> {
  const { targetId } = await connection.send('Target.createTarget', { url: 'about:blank' })
  const attached = await connection.send('Target.attachToTarget', { targetId, flatten: true })
  const session = String(attached['sessionId'])
  const send: Send = (method, params) => connection.send(method, params, session)
  const heard: Heard = { asked: new Map(), problems: [], loaded: () => {} }
  connection.listen(session, (method, params) => hear(heard, method, params))
  for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await send(`${domain}.enable`)
  await send('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false })
  const evaluate = evaluateWith(send)
  const press = (key: string, shift = false) => pressKey(send, key, shift)
  return {
    evaluate,
    press,
    requests: () => [...heard.asked.values()],
    problems: heard.problems,
    goto: async (url) => {
      const load = new Promise<void>((resolve) => {
        heard.loaded = resolve
      })
      await send('Page.navigate', { url })
      await load
    },
    until: async (expression) => {
      const deadline = performance.now() + WAIT_MS
      while (!(await evaluate<boolean>(expression))) {
        if (performance.now() > deadline) throw new Error(`not within ${WAIT_MS} ms: ${expression}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    click: (selector) => click(send, evaluate, selector),
    type: async (text) => {
      for (const character of text) await press(character)
    },
    setColours: async (scheme) => {
      await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    },
    screenshot: async (file) => {
      const { data } = await send('Page.captureScreenshot', { format: 'png' })
      writeFileSync(file, Buffer.from(String(data), 'base64'))
    },
  }
}

/** What the page did by itself. */
interface Heard {
  /** URLs that were asked for, by request. */
  readonly asked: Map<unknown, string>
  readonly problems: string[]
  loaded: () => void
}

function hear(heard: Heard, method: string, params: Answer): void {
  const { asked, problems } = heard
  if (method === 'Network.requestWillBeSent') asked.set(params['requestId'], (params['request'] as { url: string }).url)
  if (method === 'Network.loadingFailed' && params['blockedReason'] === 'csp') asked.delete(params['requestId'])
  if (method === 'Runtime.exceptionThrown') problems.push(JSON.stringify(params['exceptionDetails']))
  if (method === 'Log.entryAdded') problems.push(JSON.stringify(params['entry']))
  if (method === 'Page.loadEventFired') heard.loaded()
}

function evaluateWith(send: Send): Evaluate {
  return async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`)
    return (result as { value: T }).value
  }
}

async function pressKey(send: Send, key: string, shift: boolean): Promise<void> {
  const code = KEY_CODES[key] ?? key.toUpperCase().charCodeAt(0)
  const common = { key, windowsVirtualKeyCode: code, modifiers: shift ? 8 : 0 }
  const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined
  await send('Input.dispatchKeyEvent', { type: 'keyDown', ...common, ...(text !== undefined && { text }) })
  await send('Input.dispatchKeyEvent', { type: 'keyUp', ...common })
}

/** Scrolls there and clicks in the middle. */
async function click(send: Send, evaluate: Evaluate, selector: string): Promise<void> {
  const { x, y } = await evaluate<{ x: number; y: number }>(
    `(() => { const element = document.querySelector(${JSON.stringify(selector)}); element.scrollIntoView({ block: 'nearest' }); const box = element.getBoundingClientRect(); return { x: box.x + box.width / 2, y: box.y + box.height / 2 } })()`,
  )
  for (const type of ['mouseMoved', 'mousePressed', 'mouseReleased']) {
    const button = type === 'mouseMoved' ? 'none' : 'left'
    await send('Input.dispatchMouseEvent', { type, x, y, button, clickCount: 1 })
  }
}
