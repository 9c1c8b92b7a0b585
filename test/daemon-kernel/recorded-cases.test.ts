// The recorded cases through whole `sluice run` processes: from an API server to the kernel, the listening ports, the
// answers of health check node ports and the sysctls, all as kube-proxy left them. A sample, but for SLUICE_LONG=1.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { ApiStore, Value } from '../support/api-store.ts'
import { keyOf, RESOURCES } from '../support/api-store.ts'
import { bothRules, eventually, listeningPorts, missingForDaemon } from '../support/daemon-kernel.ts'
import { type DaemonPlace, openPlace } from '../support/daemon-place.ts'
import { GOLDEN_ROOT, listCases } from '../support/golden-case.ts'

const RECORDED = listCases().filter((name) => name.startsWith('recorded/'))
const CASES =
  process.env['SLUICE_LONG'] === '1'
    ? RECORDED
    : RECORDED.filter(
        (name) => !/random-\d(?:\d[1-9]|[1357]0)/.test(name) && !/config-variants-(?!default|node)/.test(name),
      )
/** One daemon can go through all that have the same configuration. */
const SAME_CONFIG = CASES.filter((name) => configOf(name) === configOf('recorded/config-variants-default'))

const missing = missingForDaemon()

describe.skipIf(missing !== undefined)('sluice run leaves what kube-proxy left', () => {
  // Some at the same time: they wait more than they compute.
  test.for(CASES)('%s', { concurrent: true }, async (name) => {
    await using place = await openPlace({ interfaces: interfacesOf(name) })
    changeStore(place.server.store, objectsOf(name))
    const daemon = place.daemon(['--config', configFile(place, name)])
    await daemon.logged(/"family":"IPv4".*synced rules/)
    await daemon.logged(/"family":"IPv6".*synced rules/)
    await expectRecorded(place, name)
    expect(await readSysctls(place, name)).toEqual(read(name, 'iptables/sysctl'))
    daemon.signal('SIGTERM')
    expect(await daemon.ended).toMatchObject({ code: 0 })
    expect(await bothRules(place)).toEqual(recordedRules(name))
  })

  test('and gets from each to the next', async () => {
    await using place = await openPlace({ interfaces: interfacesOf('recorded/config-variants-default') })
    const daemon = place.daemon(['--config', configFile(place, 'recorded/config-variants-default')])
    for (const name of SAME_CONFIG) {
      changeStore(place.server.store, objectsOf(name))
      await expectRecorded(place, name)
    }
    expect(SAME_CONFIG.length).toBeGreaterThan(10)
    expect(daemon.isEnded()).toBe(false)
    expect(daemon.log()).not.toMatch(/"level":"(?:error|warn)"|somebody changed/)
  }, 300_000)
})

async function expectRecorded(place: DaemonPlace, name: string): Promise<void> {
  const answers = recordedAnswers(name)
  await eventually(async () => ({ name, ...(await bothRules(place)) }), { name, ...recordedRules(name) })
  const ports = read(name, 'iptables/listening').trim().split('\n').map(Number)
  await eventually(() => listeningPorts(place, place.server.port), ports)
  const found = () => Promise.all(Object.keys(answers).map(async (port) => [port, await answerOf(place, Number(port))]))
  await eventually(found, Object.entries(answers))
}

/** As it was recorded: from 127.0.0.1, which nodePortAddresses may leave out; lines end with \n, without Date. */
async function answerOf(place: DaemonPlace, port: number): Promise<string> {
  const answer = await place.ask({ port }).catch(() => undefined)
  if (answer === undefined) return ''
  const headers = answer.headers.filter((line) => line !== 'Connection: close')
  return `HTTP/1.1 ${answer.status}\n${headers.join('\n')}\n\n${answer.body}`
}

async function readSysctls(place: DaemonPlace, name: string): Promise<string> {
  const names = read(name, 'iptables/sysctl').matchAll(/^(\S+) = /gm)
  const values = [...names].map(async ([, key = '']) => {
    const value = await place.read(`/proc/sys/${key.replaceAll('.', '/')}`)
    return `${key} = ${value.trim()}\n`
  })
  return (await Promise.all(values)).join('')
}

function recordedRules(name: string): Readonly<Record<string, string>> {
  return {
    'iptables-save': read(name, 'iptables/iptables-save'),
    'ip6tables-save': read(name, 'iptables/ip6tables-save'),
  }
}

function recordedAnswers(name: string): Readonly<Record<string, string>> {
  try {
    return JSON.parse(read(name, 'iptables/healthcheck')) as Readonly<Record<string, string>>
  } catch {
    return {}
  }
}

/** Makes the store hold these objects and no others. */
function changeStore(store: ApiStore, objects: readonly Value[]): void {
  for (const { name, kind } of RESOURCES) {
    const wanted = objects.filter((object) => object['kind'] === kind)
    const keys = new Set(wanted.map(keyOf))
    const present = store.list(name, store.resourceVersion, { labels: '', fields: '' })
    for (const [key] of present) if (!keys.has(key)) store.delete(name, key)
    for (const object of wanted) store.put(name, object)
  }
}

function objectsOf(name: string): readonly Value[] {
  return (parse(read(name, 'cluster.yaml')) as { readonly items: readonly Value[] }).items
}

function interfacesOf(name: string): Readonly<Record<string, readonly string[]>> {
  return (JSON.parse(read(name, 'host.json')) as { interfaces: Readonly<Record<string, readonly string[]>> }).interfaces
}

function configOf(name: string): string {
  return read(name, 'iptables/config.yaml')
}

function configFile(place: DaemonPlace, name: string): string {
  return place.folder.write('config.yaml', `${configOf(name)}clientConnection:\n  kubeconfig: ${place.kubeconfig}\n`)
}

function read(name: string, file: string): string {
  return readFileSync(path.join(GOLDEN_ROOT, name, file), 'utf8')
}
