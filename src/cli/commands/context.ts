// What every command is handed when it is registered.
import type { Streams } from '../streams.ts'

export interface CommandContext {
  readonly version: string
  readonly streams: Streams
  /** Hears how the command ended. */
  readonly setExitCode: (code: number) => void
}
