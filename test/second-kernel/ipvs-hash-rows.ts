// Removed endpoints under schedulers that choose by a hash: new clients are served, although the hash of some comes to the
// real server that goes. That the kernel refuses them otherwise is held too.
import { expect } from 'vitest'
import { defaultProxyConfig } from '../../src/index.ts'
import type { Namespace, Stream } from '../traffic/agent.ts'
import { ask, type Bench, serverOf, type Target } from '../traffic/row.ts'
import type { HeldRow } from './ipvs-rows.ts'
import { type NodeSyncer, startNodeSyncer } from './node-syncer.ts'

const ENDPOINTS = [
  { node: 0, pod: 0 },
  { node: 1, pod: 0 },
]
/** The node that clients use. */
const NODE = 2
/** mh chooses by them too. */
const PORTS = Array.from({ length: 12 }, (_, index) => 43_211 + index * 7)
/** Never used before: the kernel keeps a closed connection for a while, and with it the server that it had. */
const FRESH_PORTS = PORTS.map((port) => port + 1_000)

interface Removed {
  readonly client: Namespace
  readonly target: Target
  /** Of the virtual server, before. */
  readonly options: string
  /** To the endpoint that went. */
  readonly stream: Stream
  readonly gone: string
  readonly left: string
  readonly syncAgain: () => Promise<void>
}

/** Opens a connection, and takes away the endpoint that has it. */
async function removeInUse(bench: Bench, node: NodeSyncer): Promise<Removed> {
  const { lab, ips, service, slice } = bench
  const target: Target = [ips.clusterIP(1), 80]
  const client = lab.pod(NODE, 1)
  await node.sync(service('a'), slice('a', ENDPOINTS))
  // Of the real servers that a row before this one has left.
  await node.finish()
  const options = (await kernelLines(bench)).options
  const stream = await client.open({ to: target[0], port: target[1], resets: true })
  const gone = serverOf(await stream.ask())
  const rest = ENDPOINTS.filter((each) => gone !== `pod-${each.node}-${each.pod}`)
  const [left = ''] = rest.map((each) => `pod-${each.node}-${each.pod}`)
  const syncAgain = () => node.sync(service('a'), slice('a', rest))
  await syncAgain()
  return { client, target, options, stream, gone, left, syncAgain }
}

async function kernelLines({ lab, ips }: Bench) {
  const { stdout } = await lab.node(NODE).exec(['ipvsadm', '-Sn'])
  const lines = stdout.split('\n').filter((line) => line.includes(ips.clusterIP(1)))
  const [, name = '', options = ''] = /^-A (\S+ \S+) (.*)$/m.exec(lines.join('\n')) ?? []
  return { name, options, realServers: lines.filter((line) => line.startsWith('-a ')) }
}

async function setOptions(bench: Bench, options: string): Promise<void> {
  const { name } = await kernelLines(bench)
  await bench.lab.node(NODE).exec(['ipvsadm', '-E', ...`${name} ${options}`.split(' ')])
}

async function expectAllServed(client: Namespace, target: Target, server: string): Promise<void> {
  for (const sourcePort of PORTS) {
    expect(serverOf(await ask(client, target, { sourcePort, resets: true }))).toBe(server)
  }
}

/** What becomes of new clients as the kernel is now. */
async function outcomes(client: Namespace, [to, port]: Target): Promise<readonly string[]> {
  const kinds: string[] = []
  for (const sourcePort of FRESH_PORTS) kinds.push((await client.connect({ to, port, sourcePort, resets: true })).kind)
  return kinds
}

function passesOver(scheduler: 'sh' | 'mh'): (bench: Bench) => Promise<void> {
  return async (bench) => {
    await using node = await startHashing(bench, scheduler)
    const { client, target, options, stream, gone, left, syncAgain } = await removeInUse(bench, node)
    await expectAllServed(client, target, left)
    expect(serverOf(await stream.ask())).toBe(gone)
    await node.restart()
    await syncAgain()
    await expectAllServed(client, target, left)

    const during = await kernelLines(bench)
    expect(during.options).toContain(`${scheduler}-fallback`)
    await setOptions(bench, options)
    expect(await outcomes(client, target)).toContain('refused')
    await setOptions(bench, during.options)

    expect(serverOf(await stream.ask())).toBe(gone)
    await stream.close()
    await node.finish()
    expect(await kernelLines(bench)).toMatchObject({ options, realServers: [expect.stringMatching(/ -w 1$/)] })
  }
}

/** All clients come to the one that goes. */
async function deletesAtOnce(bench: Bench): Promise<void> {
  await using node = await startHashing(bench, 'dh')
  const { client, target, stream, gone, left } = await removeInUse(bench, node)
  expect((await kernelLines(bench)).realServers).toHaveLength(1)
  await expectAllServed(client, target, left)
  expect(await stream.ask(1_000)).not.toMatchObject({ server: gone })
  await stream.close()

  const { name, realServers } = await kernelLines(bench)
  const [, only = ''] = / -r (\S+) /.exec(realServers.join('')) ?? []
  await bench.lab.node(NODE).exec(['ipvsadm', '-e', ...name.split(' '), '-r', only, '-m', '-w', '0'])
  expect(new Set(await outcomes(client, target))).toEqual(new Set(['refused']))
}

function startHashing({ lab, family }: Bench, scheduler: string): Promise<NodeSyncer> {
  const config = { ipvs: { ...defaultProxyConfig().ipvs, scheduler } }
  return startNodeSyncer({ lab, node: NODE, family, config })
}

export const HASH_ROWS: readonly HeldRow[] = [
  ...(['sh', 'mh'] as const).map((scheduler) => ({
    source: 'Termination',
    name: `under ${scheduler} new clients are passed on from an endpoint that finishes its connections`,
    hold: passesOver(scheduler),
  })),
  { source: 'Termination', name: 'under dh an endpoint goes at once, and new clients are served', hold: deletesAtOnce },
]
