// Rows about what the agent answers and counts: health check node ports, metrics, kernel settings.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Namespace } from './agent.ts'
import type { EndpointSpec } from './cluster.ts'
import { eventually } from './eventually.ts'
import { askOften, expectAnswered, type LiveBench, type LiveRow } from './live-bench.ts'
import { expectDropped, expectServers } from './row.ts'

const NODE_PORT = 30080
const HEALTH_PORT = 30090
const POD_00 = { node: 0, pod: 0 }
const TERMINATING = { ...POD_00, ready: false, serving: true, terminating: true }

/** The status of the health check node port of each node, asked from outside; 0 when nobody listens. */
async function healthOf({ lab, ips }: LiveBench): Promise<readonly number[]> {
  return Promise.all(lab.nodes.map(async (_, node) => Number(await get(lab.outside, ips.node(node), HEALTH_PORT))))
}

async function get(from: Namespace, ip: string, port: number): Promise<string> {
  const host = ip.includes(':') ? `[${ip}]` : ip
  const argv = ['curl', '-s', '-g', '-o', '/dev/null', '-m', '20', '-w', '%{http_code}', `http://${host}:${port}/`]
  // curl fails when nobody listens, and writes 000 all the same.
  const { stdout } = await from.exec(['sh', '-c', `${argv.map((word) => `'${word}'`).join(' ')} || true`])
  return stdout
}

async function expectHealth(bench: LiveBench, statuses: readonly number[]): Promise<void> {
  await eventually(async () => expect(await healthOf(bench)).toEqual(statuses))
}

function program(bench: LiveBench, endpoints: readonly EndpointSpec[], policy: 'Local' | 'Cluster'): Promise<void> {
  const health = policy === 'Local' ? { healthCheckNodePort: HEALTH_PORT } : {}
  const a = bench.service('a', {
    ports: [{ port: 80, nodePort: NODE_PORT }],
    loadBalancerIPs: [bench.ips.external(1)],
    spec: { type: 'LoadBalancer', externalTrafficPolicy: policy, ...health },
  })
  return bench.cluster(a, bench.slice('a', endpoints))
}

async function onlyTerminating(bench: LiveBench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, [POD_00], 'Local')
  await expectHealth(bench, [200, 503, 503])
  const run = await askOften(lab.outside, [ips.node(0), NODE_PORT])
  await program(bench, [TERMINATING], 'Local')
  await expectHealth(bench, [503, 503, 503])
  for (const client of [lab.pod(0, 1), lab.outside]) {
    await expectServers(client, [ips.node(0), NODE_PORT], ['pod-0-0'])
  }
  expectAnswered(await run.end(), ['pod-0-0'], 'while the pod went')
}

async function policyChanges(bench: LiveBench): Promise<void> {
  const { lab, ips } = bench
  const local = async () => {
    await program(bench, [POD_00], 'Local')
    await expectHealth(bench, [200, 503, 503])
    await expectServers(lab.pod(1, 0), [ips.node(0), NODE_PORT], ['pod-0-0'])
    // The client's own node treats it as its own traffic.
    await expectServers(lab.pod(1, 0), [ips.node(1), NODE_PORT], ['pod-0-0'])
    await expectDropped(lab.pod(1, 0), [ips.node(2), NODE_PORT])
  }
  await local()
  await program(bench, [POD_00], 'Cluster')
  await expectHealth(bench, [0, 0, 0])
  for (const node of [0, 1, 2]) await expectServers(lab.pod(1, 0), [ips.node(node), NODE_PORT], ['pod-0-0'])
  await local()
}

async function nodeHealth({ lab, ips, agents }: LiveBench): Promise<void> {
  for (const [node] of agents.entries()) {
    for (const path of ['healthz', 'livez']) {
      const host = ips.node(node).includes(':') ? `[${ips.node(node)}]` : ips.node(node)
      const { stdout } = await lab.outside.exec(['curl', '-sfg', '-m', '20', `http://${host}:10256/${path}`])
      expect(JSON.parse(stdout)).toMatchObject({ healthy: true })
    }
  }
  const { stdout } = await lab.node(1).exec(['curl', '-sf', '-m', '20', 'http://127.0.0.1:10249/proxyMode'])
  expect(stdout).toBe('iptables')
}

async function metric(node: Namespace, name: string): Promise<number> {
  const { stdout } = await node.exec(['curl', '-sf', '-m', '20', 'http://127.0.0.1:10249/metrics'])
  const value = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(stdout)?.[1]
  return Number(value ?? expect.fail(`there is no metric ${name}`))
}

const LOCALHOST_METRIC = 'kubeproxy_iptables_localhost_nodeports_accepted_packets_total'

async function localhostNodePorts(bench: LiveBench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, [POD_00], 'Cluster')
  const before = await metric(lab.node(0), LOCALHOST_METRIC)
  await expectServers(lab.node(0), [ips.loopback, NODE_PORT], ['pod-0-0'])
  expect(await metric(lab.node(0), LOCALHOST_METRIC)).toBeGreaterThan(before)
}

/** The client says goodbye, and the server does not hear it: it has not even accepted the connection. */
const SERVER_THAT_IGNORES = `
import socket, time
server = socket.socket(socket.AF_INET6)
server.bind(("::", 7070))
server.listen(8)
time.sleep(25)
`

async function closeWait(bench: LiveBench): Promise<void> {
  const { lab, ips, cluster, service, slice, family } = bench
  await cluster(service('a'), slice('a', [{ node: 1, pod: 0 }], { ports: [{ port: 7070 }] }))
  // Ends by itself, after the row.
  lab
    .pod(1, 0)
    .exec(['/usr/bin/python3', '-c', SERVER_THAT_IGNORES])
    .catch(() => {})
  const stream = await eventually(() => lab.pod(0, 0).open({ to: ips.clusterIP(1), port: 80 }))
  await stream.halfClose()
  await eventually(async () => {
    const list = [
      'conntrack',
      '-L',
      '-f',
      family,
      '-p',
      'tcp',
      '--state',
      'CLOSE_WAIT',
      '--orig-port-dst',
      '80',
    ] as const
    const { stdout } = await lab.node(0).exec(list)
    const left = Number(/^tcp\s+6 (\d+) CLOSE_WAIT/m.exec(stdout)?.[1])
    // The kernel's own default is one minute.
    expect(left).toBeGreaterThan(3_500)
    expect(left).toBeLessThanOrEqual(3_600)
  })
  await stream.close()
}

/**
 * A pod's packet far beyond the window is no part of the connection for the kernel, so its source is not translated
 * back. A client that sees it, from an address it never spoke to, resets that connection, which is the pod's.
 */
const INJECTION = `
import socket, struct, sys
family = socket.AF_INET6 if sys.argv[1] == "ipv6" else socket.AF_INET
port = int(sys.argv[2])
server = socket.socket(family)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", port))
server.listen(1)
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
print("ready", flush=True)
connection, client = server.accept()
me = connection.getsockname()
header = 40 if family == socket.AF_INET6 else 20
def first_sequence(source, target, flags):
    while True:
        seen = sniffer.recv(2048)[header:]
        if len(seen) >= 20 and struct.unpack("!HH", seen[:4]) == (source, target) and seen[13] & 0x12 == flags:
            return struct.unpack("!I", seen[4:8])[0]
theirs = first_sequence(client[1], port, 2)
ours = first_sequence(port, client[1], 0x12)
raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
ends = socket.inet_pton(family, me[0]) + socket.inet_pton(family, client[0])
def segment(checksum):
    return struct.pack("!HHIIBBHHH", port, client[1], (ours + 100_000_000) & 0xffffffff, (theirs + 1) & 0xffffffff, 5 << 4, 0x10, 1000, checksum, 0)
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
pseudo = ends + (struct.pack("!HH", 6, 20) if family == socket.AF_INET else struct.pack("!II", 20, 6))
for _ in range(int(sys.argv[3])): raw.sendto(segment(checksum(pseudo + segment(0))), (client[0], 0))
connection.settimeout(25)
try:
    while connection.recv(100): connection.sendall(b"survivor 1.1.1.1 1\\n")
except OSError as error:
    print(error, flush=True)
`
const INJECTED = 3
const INVALID_METRIC = 'kubeproxy_iptables_ct_state_invalid_dropped_packets_total'

async function invalidState(bench: LiveBench): Promise<void> {
  const { lab, ips, cluster, service, slice, family } = bench
  await cluster(service('a'), slice('a', [{ node: 1, pod: 0 }], { ports: [{ port: 7071 }] }))
  // Whichever node sees the packets first.
  const dropped = async () => {
    const counts = await Promise.all(lab.nodes.map((node) => metric(node, INVALID_METRIC)))
    return counts.reduce((sum, count) => sum + count, 0)
  }
  const before = await dropped()
  const serving = lab.pod(1, 0).exec(['/usr/bin/python3', '-c', INJECTION, family, '7071', String(INJECTED)])
  const stream = await eventually(() => lab.pod(0, 0).open({ to: ips.clusterIP(1), port: 80 }))
  for (let count = 0; count < 5; count++) {
    await sleep(100)
    expect(await stream.ask()).toMatchObject({ kind: 'answer', server: 'survivor' })
  }
  await stream.close()
  expect((await serving).stdout.trim()).toBe('ready')
  await eventually(async () => expect(await dropped()).toBeGreaterThanOrEqual(before + INJECTED))
}

export const OBSERVED_ROWS: readonly LiveRow[] = [
  {
    source: 2823,
    name: 'should fail health check node port if there are only terminating endpoints',
    hold: onlyTerminating,
  },
  {
    source: 3833,
    name: 'should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes',
    hold: policyChanges,
  },
  { source: 'Networking', name: 'should check kube-proxy urls', hold: nodeHealth },
  {
    source: 'KubeProxy',
    name: 'should update metric for tracking accepted packets destined for localhost nodeports',
    family: 'ipv4',
    hold: localhostNodePorts,
    without: 'IPv6: node ports never answer on ::1',
  },
  { source: 'KubeProxy', name: 'should set TCP CLOSE_WAIT timeout', hold: closeWait },
  {
    source: 'Conntrack',
    name: 'should not be vulnerable to the invalid conntrack state bug, and counts the packets',
    hold: invalidState,
  },
]
