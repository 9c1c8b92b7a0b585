// What scripts/bundle makes works without the project's node_modules.
import { execFileSync, fork } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { HandsMessage } from '../src/host/hands-protocol.ts'

const ROOT = path.join(import.meta.dirname, '..')
const CASE = path.join(ROOT, 'rules-golden', 'recorded', 'dual-stack')
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-bundle-'))

beforeAll(() => {
  copyFileSync(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'))
  execFileSync(path.join(ROOT, 'scripts', 'bundle'), [path.join(folder, 'dist')], { stdio: 'pipe' })
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(script: string, ...args: readonly string[]): string {
  return execFileSync(process.execPath, [script, ...args], { encoding: 'utf8', cwd: folder, stdio: 'pipe' })
}

test('the bundle renders what the sources render', () => {
  const args = ['render', '-f', path.join(CASE, 'cluster.yaml'), '--host', path.join(CASE, 'host.json')]
  const bundled = run(path.join(folder, 'dist', 'sluice.bundle.mjs'), ...args)
  expect(bundled).toContain('*nat')
  expect(bundled).toBe(run(path.join(ROOT, 'src', 'main.ts'), ...args))
})

test('the bundle draws the page that the sources draw', () => {
  const args = [
    'graph',
    '-A',
    '-f',
    path.join(CASE, 'cluster.yaml'),
    '--host',
    path.join(CASE, 'host.json'),
    '-o',
    'html',
  ]
  const bundled = run(path.join(folder, 'dist', 'sluice.bundle.mjs'), ...args)
  expect(bundled).toContain('<!doctype html>')
  expect(bundled).toBe(run(path.join(ROOT, 'src', 'main.ts'), ...args))
})

test('the bundled helper process finds its addon', async () => {
  const child = fork(path.join(folder, 'dist', 'hands.bundle.mjs'), [path.join(folder, 'spool')], {
    serialization: 'advanced',
    // The helper ends its whole group when this end of the channel is gone.
    detached: true,
  })
  const answered = new Promise<HandsMessage>((resolve, reject) => {
    child.on('message', (message) => resolve(message as HandsMessage))
    child.on('exit', () => reject(new Error('the helper ended')))
  })
  child.send({ kind: 'listAddresses', id: 1, request: undefined })
  const answer = await answered
  child.disconnect()
  expect(answer).toMatchObject({ kind: 'answer', id: 1, value: expect.arrayContaining(['127.0.0.1']) })
})
