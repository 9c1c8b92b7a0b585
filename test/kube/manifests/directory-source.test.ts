import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { watchDirectory } from '../../../src/kube/manifests/directory-source.ts'
import type { Issue } from '../../../src/model/issue.ts'
import type { Snapshot } from '../../../src/model/snapshot.ts'
import { endpointSlice, node, service } from '../../support/cluster-objects.ts'

/** Longer than files need to settle and to be read. */
const QUIET_MS = 250
const NOTICED = { timeout: 30_000, interval: 5 }

let folder = ''
let snapshots: Snapshot[] = []
let issues: readonly (readonly Issue[])[] = []
let ending = new AbortController()
let watching: Promise<void> = Promise.resolve()

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sluice-directory-'))
  snapshots = []
  issues = []
  ending = new AbortController()
})

afterEach(async () => {
  ending.abort()
  await watching
  rmSync(folder, { recursive: true, force: true })
})

function start(paths: readonly string[] = [folder], pollMs = 60_000): void {
  watching = watchDirectory({
    paths,
    onSnapshot: (snapshot) => snapshots.push(snapshot),
    onIssues: (found) => (issues = [...issues, found]),
    signal: ending.signal,
    settleMs: 30,
    pollMs,
  })
}

function manifest(kind: 'Service' | 'EndpointSlice' | 'Node', object: object): string {
  const apiVersion = kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1'
  return JSON.stringify({ apiVersion, kind, ...object })
}

function put(name: string, ...documents: readonly string[]): void {
  writeFileSync(path.join(folder, name), documents.join('\n'))
}

async function snapshotNumber(count: number): Promise<Snapshot> {
  await vi.waitFor(() => expect(snapshots.length).toBeGreaterThanOrEqual(count), NOTICED)
  const last = snapshots[count - 1]
  if (last === undefined) throw new Error('no snapshot')
  return last
}

const keysOf = (snapshot: Snapshot | undefined) => snapshot?.services.map(({ key }) => key)
const errorsNow = () => issues.at(-1)?.filter(({ severity }) => severity === 'error')

function putTwoServices(): void {
  put('one.json', manifest('Service', service('one', '10.96.0.11')))
  put(
    'two.json',
    manifest('Service', service('two', '10.96.0.12')),
    manifest('EndpointSlice', endpointSlice('two-a', 'two')),
  )
  put('nodes.json', manifest('Node', node('node-a')))
}

describe('a directory', () => {
  beforeEach(putTwoServices)

  test('is read at once, and again after a change, with unchanged objects kept', async () => {
    start()
    const first = await snapshotNumber(1)
    expect(keysOf(first)).toEqual(['ns1/one', 'ns1/two'])
    put('one.json', manifest('Service', service('one', '10.96.0.99')))
    const second = await snapshotNumber(2)
    expect(second.services[0]?.service.clusterIPs.ipv4).toBe('10.96.0.99')
    expect(second.services[1]).toBe(first.services[1])
    expect(second.nodes.get('node-a')).toBe(first.nodes.get('node-a'))
  })

  test('follows a changed slice with a new entry for its Service only', async () => {
    start()
    const first = await snapshotNumber(1)
    put('two.json', manifest('Service', service('two', '10.96.0.12')))
    const second = await snapshotNumber(2)
    expect(second.services[0]).toBe(first.services[0])
    expect(second.services[1]?.slices).toEqual([])
  })

  test('gives no new Snapshot for a file written again as it was', async () => {
    start()
    await snapshotNumber(1)
    putTwoServices()
    put('notes.txt', 'nothing')
    await sleep(QUIET_MS)
    expect(snapshots.length).toBe(1)
  })

  test('loses the objects of a removed file, and gains those of a new one', async () => {
    start()
    await snapshotNumber(1)
    rmSync(path.join(folder, 'one.json'))
    expect(keysOf(await snapshotNumber(2))).toEqual(['ns1/two'])
    put('three.yaml', manifest('Service', service('three', '10.96.0.13')))
    expect(keysOf(await snapshotNumber(3))).toEqual(['ns1/three', 'ns1/two'])
  })

  test('is one picture: a burst of files gives one Snapshot', async () => {
    start()
    await snapshotNumber(1)
    for (let index = 0; index < 20; index++) {
      put(`burst-${index}.json`, manifest('Service', service(`burst-${index}`, `10.96.1.${index}`)))
    }
    expect(keysOf(await snapshotNumber(2))?.length).toBe(22)
    expect(snapshots.length).toBe(2)
  })

  test('takes a file that is renamed into place', async () => {
    start()
    await snapshotNumber(1)
    put('one.json.tmp', manifest('Service', service('one', '10.96.0.98')))
    renameSync(path.join(folder, 'one.json.tmp'), path.join(folder, 'one.json'))
    expect((await snapshotNumber(2)).services[0]?.service.clusterIPs.ipv4).toBe('10.96.0.98')
  })

  test('keeps the last good state while a file is half written, also of the other files', async () => {
    start()
    await snapshotNumber(1)
    const text = manifest('Service', service('one', '10.96.0.97'))
    put('one.json', text.slice(0, -20))
    rmSync(path.join(folder, 'two.json'))
    await vi.waitFor(() => expect(errorsNow()?.length).toBe(1), NOTICED)
    await sleep(QUIET_MS)
    expect(snapshots.length).toBe(1)
    put('one.json', text)
    const second = await snapshotNumber(2)
    expect(keysOf(second)).toEqual(['ns1/one'])
    await vi.waitFor(() => expect(issues.at(-1)).toEqual([]), NOTICED)
  })

  test('keeps the last good state when an object that was good has an error, and says where', async () => {
    start()
    await snapshotNumber(1)
    put('one.json', manifest('Service', service('one', '10.96.0.300')))
    put('three.json', manifest('Service', service('three', '10.96.0.13')))
    await vi.waitFor(() => expect(errorsNow()?.[0]?.at).toMatchObject({ object: 'Service ns1/one' }), NOTICED)
    await sleep(QUIET_MS)
    expect(snapshots.length).toBe(1)
    expect(issues.at(-1)?.at(-1)?.message).toContain('nothing of the changed manifests is applied')
  })

  test('keeps the last good state while an object stands in two files', async () => {
    start()
    await snapshotNumber(1)
    put('moved.json', manifest('Service', service('one', '10.96.0.96')))
    await vi.waitFor(() => expect(errorsNow()?.length).toBe(1), NOTICED)
    expect(snapshots.length).toBe(1)
    rmSync(path.join(folder, 'one.json'))
    expect((await snapshotNumber(2)).services[0]?.service.clusterIPs.ipv4).toBe('10.96.0.96')
  })

  test('leaves out a new object with an error, and takes the rest', async () => {
    start()
    await snapshotNumber(1)
    put('bad.json', manifest('Service', service('bad', '10.96.0.300')))
    put('good.json', manifest('Service', service('good', '10.96.0.14')))
    expect(keysOf(await snapshotNumber(2))).toContain('ns1/good')
    expect(errorsNow()?.[0]?.at).toMatchObject({ object: 'Service ns1/bad' })
  })

  test('keeps the last good state when it is emptied or gone, and goes on when it is back', async () => {
    start()
    await snapshotNumber(1)
    renameSync(folder, `${folder}-away`)
    await vi.waitFor(() => expect(errorsNow()?.[0]?.message).toContain('no such file'), NOTICED)
    mkdirSync(folder)
    await vi.waitFor(() => expect(errorsNow()?.[0]?.message).toContain('holds no'), NOTICED)
    expect(snapshots.length).toBe(1)
    rmSync(`${folder}-away`, { recursive: true })
    put('three.json', manifest('Service', service('three', '10.96.0.13')))
    expect(keysOf(await snapshotNumber(2))).toEqual(['ns1/three'])
    put('four.json', manifest('Service', service('four', '10.96.0.14')))
    expect(keysOf(await snapshotNumber(3))).toEqual(['ns1/four', 'ns1/three'])
  })
})

test('a directory that is broken at first is waited for', async () => {
  put('one.json', '{"kind": "Service", ')
  start()
  await vi.waitFor(() => expect(errorsNow()?.length).toBe(1), NOTICED)
  expect(snapshots).toEqual([])
  put('one.json', manifest('Service', service('one')))
  expect(keysOf(await snapshotNumber(1))).toEqual(['ns1/one'])
})

test('a single file is followed through writes and renames', async () => {
  put('one.json', manifest('Service', service('one', '10.96.0.11')))
  const file = path.join(folder, 'one.json')
  start([file])
  await snapshotNumber(1)
  writeFileSync(file, manifest('Service', service('one', '10.96.0.12')))
  await snapshotNumber(2)
  writeFileSync(`${file}.new`, manifest('Service', service('one', '10.96.0.13')))
  renameSync(`${file}.new`, file)
  expect((await snapshotNumber(3)).services[0]?.service.clusterIPs.ipv4).toBe('10.96.0.13')
})

test('a mounted ConfigMap is followed through its swaps of links', async () => {
  const mount = (version: string, ...names: readonly string[]) => {
    mkdirSync(path.join(folder, version))
    for (const name of names) {
      writeFileSync(path.join(folder, version, `${name}.json`), manifest('Service', service(name)))
    }
    symlinkSync(version, path.join(folder, '..data.new'))
    renameSync(path.join(folder, '..data.new'), path.join(folder, '..data'))
    for (const name of names) {
      if (!readdirSync(folder).includes(`${name}.json`))
        symlinkSync(`..data/${name}.json`, path.join(folder, `${name}.json`))
    }
  }
  mount('..1', 'one')
  start()
  await snapshotNumber(1)
  mount('..2', 'one', 'two')
  expect(keysOf(await snapshotNumber(2))).toEqual(['ns1/one', 'ns1/two'])
})

test('changes without events are found by looking', async () => {
  const elsewhere = mkdtempSync(path.join(tmpdir(), 'sluice-elsewhere-'))
  try {
    writeFileSync(path.join(elsewhere, 'one'), manifest('Service', service('one', '10.96.0.11')))
    symlinkSync(path.join(elsewhere, 'one'), path.join(folder, 'one.json'))
    start([folder], 100)
    await snapshotNumber(1)
    writeFileSync(path.join(elsewhere, 'one'), manifest('Service', service('one', '10.96.0.112')))
    expect((await snapshotNumber(2)).services[0]?.service.clusterIPs.ipv4).toBe('10.96.0.112')
  } finally {
    rmSync(elsewhere, { recursive: true })
  }
})

test('standard input is refused', async () => {
  start(['-'])
  await expect(watching).rejects.toThrow('standard input can be read only once')
  watching = Promise.resolve()
})

test('the end comes at once', async () => {
  putTwoServices()
  // Not at the next look.
  start([folder], 3_600_000)
  await snapshotNumber(1)
  ending.abort()
  await expect(watching).resolves.toBeUndefined()
})
