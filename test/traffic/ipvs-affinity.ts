// How session affinity ends in IPVS mode. The kernel remembers a client as a connection from port 0, the template, which
// each new connection of the client renews for the time of the Service. When that is over and the kernel still remembers
// a connection of the client, which is 10 s after a reset and 2 minutes after an orderly end, the template stays, and
// the kernel looks again every 60 s (ip_vs_conn_expire in net/netfilter/ipvs/ip_vs_conn.c of Linux 6.1).
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Namespace } from './agent.ts'
import { eventually } from './eventually.ts'
import { ask, type Bench, serverOf, type Target } from './row.ts'

/** Of the Service; longer than the kernel remembers a connection that was reset. */
const SECONDS = 12
/** Questions so far apart are more than SECONDS apart only together, so that each has to renew the template. */
const PAUSE_MS = 5_000
const QUESTIONS = 4
/**
 * Of this row alone. The kernel removes the templates of a virtual server that is deleted a moment later, and keeps them
 * when it is made again before that: a row before this one may have left one that lasts for three hours.
 */
const NUMBER = 8
const NODE_PORT = 30_088
const ENDPOINTS = [0, 1, 2].map((node) => ({ node, pod: 0 }))
const SERVERS = ['pod-0-0', 'pod-1-0', 'pod-2-0']
/** So often may the machine be too slow. */
const MOST_SLOW = 10

interface Affine {
  readonly client: Namespace
  readonly target: Target
  /** Whose kernel chooses. */
  readonly forwarder: Namespace
}

/** A client keeps its server for at least the time of the Service since its last connection, and not for ever. */
export async function timesOutInIpvs(bench: Bench, way: string): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  const spec = {
    type: 'NodePort',
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: SECONDS } },
  }
  const ports = [{ port: 80, nodePort: NODE_PORT }]
  await cluster(service('timed', { number: NUMBER, ports, spec }), slice('timed', ENDPOINTS))
  const affine: Affine =
    way === 'cluster IP'
      ? { client: lab.pod(0, 1), target: [ips.clusterIP(NUMBER), 80], forwarder: lab.node(0) }
      : { client: lab.outside, target: [ips.node(1), NODE_PORT], forwarder: lab.node(1) }
  const { server, asked } = await expectRenewed(affine)
  await expectForgotten(affine)
  expect(performance.now() - asked, 'forgotten too early, in ms').toBeGreaterThan((SECONDS - 1) * 1_000)
  // The next in turn (rr), and nobody else is served there: it is another one for certain.
  const next = serverOf(await ask(affine.client, affine.target, { resets: true }))
  expect(SERVERS.filter((each) => each !== server)).toContain(next)
}

/** The server, and when it was asked last; throws when another one answered in time. */
async function expectRenewed(affine: Affine): Promise<{ readonly server: string; readonly asked: number }> {
  const { client, target } = affine
  for (let slow = 0; slow < MOST_SLOW; slow += 1) {
    const servers = new Set<string>()
    let asked = performance.now()
    let isInTime = true
    for (let count = 0; count < QUESTIONS; count += 1) {
      if (count > 0) await sleep(PAUSE_MS)
      const before = asked
      asked = performance.now()
      servers.add(serverOf(await ask(client, target, { resets: true })))
      isInTime &&= performance.now() - before < SECONDS * 1_000
    }
    for (const server of servers) expect(SERVERS).toContain(server)
    const remembered = await templates(affine)
    // What comes too late may rightly go elsewhere.
    if (!isInTime || performance.now() - asked >= SECONDS * 1_000) continue
    expect([...servers]).toHaveLength(1)
    expect(remembered, 'the client is remembered, once').toHaveLength(1)
    return { server: [...servers].join(), asked }
  }
  return expect.fail('this machine is too slow to ask within the time of the affinity')
}

/** Far more than the time of the Service and the kernel's 60 s. */
const FORGOTTEN_MS = 240_000

async function expectForgotten(affine: Affine): Promise<void> {
  const look = async () => {
    const left = await templates(affine)
    if (left.length > 0) throw new Error(`the client is remembered: ${left.join('; ')}`)
  }
  await eventually(look, { withinMs: FORGOTTEN_MS, everyMs: 1_000 })
}

/** Lines of what the kernel remembers of clients as such, to the target. */
async function templates({ target: [ip, port], forwarder }: Affine): Promise<readonly string[]> {
  const { stdout } = await forwarder.exec(['ipvsadm', '-Lnc'])
  const asked = `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
  return stdout.split('\n').filter((line) => {
    const [, , , from = '', to = ''] = line.trim().split(/\s+/)
    return from.endsWith(':0') && to === asked
  })
}
