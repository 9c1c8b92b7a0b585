// A log that nobody reads.
import type { Log } from '../../src/daemon/log.ts'

export const SILENT_LOG: Log = {
  error: () => {},
  warn: () => {},
  info: () => {},
  verbose: () => {},
  isVerbose: () => false,
  setVerbosity: () => {},
}
