// The command `sluice`: the process around src/cli/command-line.ts.
import { readFileSync } from 'node:fs'
import { reportEnd, run } from './cli/command-line.ts'
import { createTerminal } from './cli/terminal.ts'
import { keepHeapSmall } from './host/heap.ts'

keepHeapSmall()

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

// A reader that has seen enough (`| head`) closes the pipe. Where that matters, write-out.ts notices it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
process.on('uncaughtException', (error) => {
  process.exit(reportEnd(error, createTerminal(process.stderr)))
})

process.exitCode = await run(process.argv.slice(2), version, process)
