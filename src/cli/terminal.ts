// What commands say to the person beside their result: standard error, colour only on a terminal, progress only when it
// takes long.
import { styleText } from 'node:util'
import { formatIssue, type Issue } from '../model/issue.ts'

const PROGRESS_AFTER_MS = 1000
const PROGRESS_EVERY_MS = 100

export interface Terminal {
  /** One line for the person. */
  readonly say: (line: string) => void
  readonly report: (issues: readonly Issue[]) => void
  /** `done` goes from 0 to 1; absent when nobody knows. */
  readonly progress: (what: string, done?: number) => void
}

export function createTerminal(stream: NodeJS.WriteStream): Terminal {
  const start = performance.now()
  let shownAt = 0
  let shown = false
  const clear = () => {
    if (shown) stream.write('\r\u001b[K')
    shown = false
  }
  const say = (line: string) => {
    clear()
    stream.write(`${line}\n`)
  }
  return {
    say,
    report: (issues) => {
      for (const issue of issues) say(`${label(issue, stream)} ${printable(formatIssue(issue))}`)
    },
    progress: (what, done) => {
      const now = performance.now()
      if (!stream.isTTY || now - start < PROGRESS_AFTER_MS || now - shownAt < PROGRESS_EVERY_MS) return
      clear()
      stream.write(done === undefined ? `${what} ...` : `${what} ... ${Math.floor(done * 100)}%`)
      shownAt = now
      shown = true
    },
  }
}

function label({ severity }: Issue, stream: NodeJS.WriteStream): string {
  const style = severity === 'error' ? 'red' : 'yellow'
  return styleText(style, `${severity}:`, { stream })
}

/** Input is quoted in messages; a terminal must not obey it. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
