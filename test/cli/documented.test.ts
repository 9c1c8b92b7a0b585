// The sessions in docs/explain.md: run again, they print what the page shows. SLUICE_WRITE_DOCS=1 writes what they print
// into the page; review it then as a diff.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { sluice } from './command.ts'

const FILE = path.join(import.meta.dirname, '..', '..', 'docs', 'explain.md')

interface Session {
  /** Behind `$ sluice `. */
  readonly command: string
  readonly shown: string
}

const BLOCK = /```console\n([\s\S]*?)```\n/g
if (process.env['SLUICE_WRITE_DOCS'] === '1') await writePage()
const blocks = [...readFileSync(FILE, 'utf8').matchAll(BLOCK)].map(([, text = '']) => readSessions(text))

function readSessions(text: string): readonly Session[] {
  return text
    .split(/^\$ sluice /m)
    .slice(1)
    .map((session) => {
      const end = session.indexOf('\n')
      return { command: session.slice(0, end), shown: session.slice(end + 1) }
    })
}

async function writePage(): Promise<void> {
  const page = readFileSync(FILE, 'utf8')
  const printed: string[] = []
  for (const [, text = ''] of page.matchAll(BLOCK)) {
    let block = ''
    for (const { command } of readSessions(text)) block += `$ sluice ${command}\n${await run(command)}`
    printed.push(`\`\`\`console\n${block}\`\`\`\n`)
  }
  writeFileSync(
    FILE,
    page.replaceAll(BLOCK, () => printed.shift() ?? ''),
  )
}

async function run(command: string): Promise<string> {
  const { stdout, code } = await sluice(command.split(' '))
  return `${stdout}${code === 0 ? '' : `[exit code ${code}]\n`}`
}

/** Figures of measurements differ from one refreshing of them to the next. */
function withoutMeasured(text: string): string {
  return text.replaceAll(/^( {2}(?:first sync|one change|reading back|memory|times)) .*$/gm, '$1')
}

test('the page has a session of each command', () => {
  const commands = blocks.flat().map(({ command }) => command.split(' ', 1)[0])
  expect([...new Set(commands)]).toEqual(['diff', 'verify', 'lint', 'estimate', 'explain'])
})

describe('the sessions of docs/explain.md', () => {
  test.each(blocks.flat())('sluice $command', async ({ command, shown }) => {
    const printed = await run(command)
    expect(withoutMeasured(printed)).toBe(withoutMeasured(shown))
  })
})
