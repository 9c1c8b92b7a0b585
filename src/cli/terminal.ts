// What commands say to the person beside their result: standard error, colour only on a terminal, progress only when it
// takes long.
import { styleText } from 'node:util'
import { formatIssue, type Issue } from '../model/issue.ts'
import { type OutputStream, wantsColour } from './streams.ts'

const PROGRESS_AFTER_MS = 1000
const PROGRESS_EVERY_MS = 100
const LONGEST_LINE = 1200
const USUAL_WIDTH = 80

export interface Terminal {
  /** One line for the person. */
  readonly say: (line: string) => void
  readonly report: (issues: readonly Issue[]) => void
  /** `done` goes from 0 to 1; absent when nobody knows. */
  readonly progress: (what: string, done?: number) => void
  /** Takes away the progress, before something else is written to the same terminal. */
  readonly clear: () => void
}

export function createTerminal(stream: OutputStream): Terminal {
  const begun = performance.now()
  let shownAt = 0
  let shown = false
  const clear = () => {
    if (shown) stream.write('\r\u001b[K')
    shown = false
  }
  const say = (line: string, before = '') => {
    clear()
    stream.write(`${before}${printable(line)}\n`)
  }
  return {
    say: (line) => say(line),
    report: (issues) => {
      for (const issue of issues) say(formatIssue(issue), label(issue, stream))
    },
    progress: (what, done) => {
      const now = performance.now()
      if (stream.isTTY !== true || now - begun < PROGRESS_AFTER_MS || now - shownAt < PROGRESS_EVERY_MS) return
      clear()
      const share = done === undefined ? '' : ` ${Math.floor(done * 100)}%`
      // A line that wraps can't be taken away again.
      const room = (stream.columns || USUAL_WIDTH) - ' ...'.length - share.length - 1
      stream.write(`${printable(what).slice(0, Math.max(room, 0))} ...${share}`)
      shownAt = now
      shown = true
    },
    clear,
  }
}

function label({ severity }: Issue, stream: OutputStream): string {
  const text = `${severity}:`
  if (!wantsColour(stream)) return `${text} `
  return `${styleText(severity === 'error' ? 'red' : 'yellow', text, { validateStream: false })} `
}

/**
 * The text as a terminal may show it. Input is quoted in messages, and nothing of it may steer a terminal, hide or
 * reorder what stands around it, or bury it.
 */
export function printable(text: string): string {
  const cut = text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}... (${text.length} characters in all)` : text
  return cut.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, escapeCharacter)
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
