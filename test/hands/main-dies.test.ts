// When the main process is killed, nobody can tell the helper to end: it must see it by itself.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'

const CLIENT = pathToFileURL(path.join(import.meta.dirname, '..', '..', 'src', 'host', 'hands-client.ts')).href

test('a helper whose main process is killed ends its tools and itself, and removes the files', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-main-dies-'))
  const script = `
    const { startHands } = await import('${CLIENT}')
    const hands = await startHands({ folder: process.argv[1] })
    hands.run({ argv: ['sh', '-c', 'echo $$ >&2; cat >/dev/null; echo; exec sleep 61.25'], stdin: 'x'.repeat(1e6), timeoutMs: 1e5 }).catch(() => {})
    console.log(hands.pid)
  `
  const main = spawn(process.execPath, ['--input-type=module', '-e', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = await new Promise<number>((resolve) => {
    main.stdout.once('data', (bytes: Buffer) => resolve(Number(bytes.toString())))
  })
  await expect.poll(() => membersOf(pid), { timeout: 30_000 }).toBe(2)
  main.kill('SIGKILL')
  await expect.poll(() => membersOf(pid), { timeout: 30_000 }).toBe(0)
  expect(readdirSync(folder)).toEqual([])
  rmSync(folder, { recursive: true })
})

function membersOf(group: number): number {
  const script = `ps -e -o pgid=,stat= | awk '$1 == ${group} && $2 !~ /^Z/' | wc -l`
  return Number(execFileSync('sh', ['-c', script], { encoding: 'utf8' }))
}
