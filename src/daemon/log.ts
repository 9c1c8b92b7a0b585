// The daemon's log. Text is one line for people, in the shape of Kubernetes' own logs, so that their parsers read it;
// JSON is one object per line with the members of Kubernetes' JSON logs (ts, v, msg). Nothing is logged below sync/.
//
// Levels are those of kube-proxy's -v: 0 what an operator should see, 1 and 2 what happens now and then, 4 and more for
// hunting a fault. `vmodule` is accepted by the configuration and has no effect: it names source files of another program.
import { pino } from 'pino'
import { maskText, maskValue, printable } from './log-value.ts'

export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  readonly error: (message: string, fields?: LogFields) => void
  readonly warn: (message: string, fields?: LogFields) => void
  /** Level 0. */
  readonly info: (message: string, fields?: LogFields) => void
  /** Only from that verbosity on. */
  readonly verbose: (level: number, message: string, fields?: LogFields) => void
  /** For fields that are costly to compute. */
  readonly isVerbose: (level: number) => boolean
  readonly setVerbosity: (level: number) => void
}

export interface LogOptions {
  /** `auto`: text when `terminal`, else JSON. */
  readonly format: 'text' | 'json' | 'auto'
  readonly terminal: boolean
  readonly verbosity: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly pid: number
  /** Takes whole lines, newline included. */
  readonly write: (line: string) => void
}

/** Lines to standard error, each written before the call returns, so that none is lost when the process ends. */
export function standardErrorWriter(): (line: string) => void {
  const destination = pino.destination({ fd: 2, sync: true })
  return (line) => destination.write(line)
}

/** Secrets are masked in fields and in messages; see log-value.ts. */
export function createLog(options: LogOptions): Log {
  const asText = options.format === 'text' || (options.format === 'auto' && options.terminal)
  const write = asText ? (line: string) => options.write(toTextLine(line, options.pid)) : options.write
  const logger = pino(
    {
      base: null,
      timestamp: () => `,"ts":${options.now() / 1000}`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  let verbosity = options.verbosity
  const say = (level: 'error' | 'warn' | 'info', message: string, fields: LogFields, v?: number) => {
    const masked = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [FIELD_NAMES[name] ?? name, maskValue(name, value)])
    logger[level]({ ...(v !== undefined && { v }), ...Object.fromEntries(masked) }, maskText(message))
  }
  return {
    error: (message, fields = {}) => say('error', message, fields),
    warn: (message, fields = {}) => say('warn', message, fields),
    info: (message, fields = {}) => say('info', message, fields, 0),
    verbose: (level, message, fields = {}) => {
      if (level <= verbosity) say('info', message, fields, level)
    },
    isVerbose: (level) => level <= verbosity,
    setVerbosity: (level) => {
      verbosity = level
    },
  }
}

// Members that a line has anyway, and Kubernetes' name for an error.
const FIELD_NAMES: Readonly<Record<string, string>> = {
  error: 'err',
  ts: 'ts_',
  v: 'v_',
  msg: 'msg_',
  level: 'level_',
}

const LETTERS: Readonly<Record<string, string>> = { error: 'E', warn: 'W', info: 'I' }

/** `I0102 15:04:05.000000    1234 sluice] message name="value" lines=14` */
function toTextLine(json: string, pid: number): string {
  const { level, ts, msg, v: _, ...fields } = JSON.parse(json) as { level: string; ts: number; msg: string; v?: number }
  const at = new Date(Math.round(ts * 1000))
  const two = (value: number) => value.toString().padStart(2, '0')
  const day = `${two(at.getMonth() + 1)}${two(at.getDate())}`
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  const fraction = `${at.getMilliseconds().toString().padStart(3, '0')}000`
  const head = `${LETTERS[level] ?? 'I'}${day} ${time}.${fraction} ${pid.toString().padStart(7)} sluice]`
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${printable(JSON.stringify(value))}`)
  return `${head} ${printable(msg)}${pairs.join('')}\n`
}
