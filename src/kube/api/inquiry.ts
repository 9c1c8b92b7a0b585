// Requests of one reflector: the query with its selectors, the limit of silence, and what the server turned out to be able
// to do. At most one is open at a time.
import { type Clock, startWatchdog, type Watchdog } from './clock.ts'
import { type Connection, readAnswer, readBody } from './connection.ts'
import type { RawValue, Resource } from './resource.ts'
import { Refusal, Silence } from './setback.ts'

export interface Abilities {
  /** Initial events in a watch (`sendInitialEvents`). */
  streamsLists: boolean
  selectsByField: boolean
}

export interface Inquiry {
  readonly server: string
  readonly resource: Pick<Resource<unknown>, 'name' | 'selects' | 'fieldSelector'>
  readonly abilities: Abilities
  /** Whether the object counts where the server could not select by field. */
  readonly isSelected: (value: RawValue) => boolean
  /**
   * Sends a GET with these parameters and hands on the body, to its end.
   * @throws Refusal, Silence, ClusterError, and what `onChunk` throws.
   */
  readonly ask: (query: Readonly<Record<string, string>>, silenceMs: number, use: Use) => Promise<void>
  /** Cuts what is open; whatever is asked afterwards fails. */
  readonly close: () => void
}

export interface Use {
  /** The server has answered 200. */
  readonly onAnswer?: (watchdog: Watchdog) => void
  readonly onChunk: (chunk: Buffer) => void
}

export function createInquiry(connection: Connection, clock: Clock, resource: Resource<unknown>): Inquiry {
  const { server } = connection
  const { path, labelSelector, fieldSelector, selects } = resource
  const abilities: Abilities = { streamsLists: true, selectsByField: true }
  let open: AbortController | undefined
  let isClosed = false

  function parameters(query: Readonly<Record<string, string>>): string {
    return new URLSearchParams({
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && abilities.selectsByField && { fieldSelector }),
      ...query,
    }).toString()
  }

  async function ask(query: Readonly<Record<string, string>>, silenceMs: number, use: Use): Promise<void> {
    if (isClosed) throw new Silence('it was stopped')
    const controller = new AbortController()
    open = controller
    const { signal } = controller
    const watchdog = startWatchdog(clock, silenceMs, () => {
      controller.abort(new Silence(`the server was silent for too long`))
    })
    try {
      const answer = await connection.open(`${path}?${parameters(query)}`, signal)
      watchdog.heard()
      if (answer.status !== 200) throw new Refusal(await readAnswer(server, answer, signal))
      use.onAnswer?.(watchdog)
      await readBody(server, answer, signal, (chunk) => {
        watchdog.heard()
        use.onChunk(chunk)
      })
    } finally {
      watchdog.stop()
    }
  }

  return {
    server,
    resource,
    abilities,
    isSelected: (value) => abilities.selectsByField || selects === undefined || selects(value),
    ask,
    close: () => {
      isClosed = true
      open?.abort(new Silence('it was stopped'))
    },
  }
}
