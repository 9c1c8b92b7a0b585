// A node alone, in a network namespace of its own, between two namespaces that only send: the outside behind eth0, and
// pods behind another interface. What the node's kernel does with a packet is read from its connection tracking: an entry
// shows the destination and the source that were chosen, and no entry means that the packet went nowhere.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Family, Ip } from '../../src/index.ts'
import { type InterfaceAddress, LOOPBACK, type NodeNetwork } from '../../src/packet/network.ts'
import type { Packet } from '../../src/packet/packet.ts'
import { createNetworkNamespace, type NetworkNamespace } from './network-namespace.ts'

const AGENT = path.join(import.meta.dirname, '..', 'kernel', 'packet-agent.py')
const MACS = {
  eth0: ['02:00:00:00:00:01', '02:00:00:00:00:02'],
  pods: ['02:00:00:00:00:03', '02:00:00:00:00:04'],
} as const

/** The node answers UDP and TCP here, so that its connection tracking tells what got to a process. */
const SERVED_PORTS = [53, 80, 8080, 30_000, 30_001, 32_000]

export interface SentPacket {
  readonly packet: Packet
  readonly from: 'outside' | 'pod' | 'node'
}

/** What became of a packet, by its source port. */
export type Observed =
  | {
      readonly kind: 'passed'
      readonly destination: string
      readonly destinationPort: number
      readonly sourceSeen: string
    }
  | { readonly kind: 'reject' | 'drop' }

export interface PacketLaboratory extends AsyncDisposable {
  readonly podInterface: string
  /** Makes these the only rules, and forgets all connections. */
  readonly applyRules: (family: Family, payload: string) => void
  readonly setRouteLocalnet: (on: boolean) => void
  /** A command on the node. */
  readonly run: NetworkNamespace['run']
  /** Every packet needs a source port of its own. `more` are addresses that the node has now beside its first ones. */
  readonly send: (packets: readonly SentPacket[], more?: readonly string[]) => Promise<ReadonlyMap<number, Observed>>
}

const NETWORKS = {
  ipv4: { eth0: ['192.168.1.63/24', '192.168.1.64/24'], pods: ['10.0.0.254/16'], router: '192.168.1.254' },
  ipv6: { eth0: ['fd00:192::63/64'], pods: ['fd00:10::fe/32'], router: 'fd00:192::ff' },
} as const

const OWN_ADDRESSES = [
  '127.0.0.1',
  '::1',
  ...Object.values(NETWORKS).flatMap(({ eth0, pods }) => [...eth0, ...pods].map((text) => text.split('/')[0] ?? '')),
]

/** Whose refusals must find back. */
const NEIGHBOURS = {
  eth0: ['192.168.1.99', 'fd00:192::99'],
  pods: [
    '10.0.0.1',
    '10.0.0.2',
    '10.0.0.10',
    '10.0.1.1',
    '10.0.1.20',
    '10.0.0.77',
    'fd00:10::1',
    'fd00:10::2',
    'fd00:10::10',
    'fd00:10:1::1',
    'fd00:10:1::a',
    'fd00:10::77',
  ],
} as const

/** The node's network as the laboratory makes it. */
export function laboratoryNetwork(family: Family, podInterface: string): NodeNetwork {
  const { eth0, pods } = NETWORKS[family]
  const networks: Readonly<Record<string, string>> = {
    '192.168.1.63/24': '192.168.1.0/24',
    '192.168.1.64/24': '192.168.1.0/24',
    '10.0.0.254/16': '10.0.0.0/16',
    'fd00:192::63/64': 'fd00:192::/64',
    'fd00:10::fe/32': 'fd00:10::/32',
  }
  const address = (text: string) => ({ ip: text.split('/')[0], network: networks[text] }) as unknown as InterfaceAddress
  return {
    family,
    interfaces: [
      LOOPBACK[family],
      { name: 'eth0', addresses: eth0.map(address) },
      { name: podInterface, addresses: pods.map(address) },
    ],
    nodeIP: (family === 'ipv4' ? '192.168.1.63' : 'fd00:192::63') as Ip,
    podCIDRs: [networks[pods[0]] as unknown as NodeNetwork['podCIDRs'][number]],
    podInterface,
    clusterCIDRs: [],
    otherNodes: [],
  }
}

/** Needs root. Dispose of it with `await using`. `more` are addresses that the node may get later. */
export async function createPacketLaboratory(
  podInterface: string,
  more: readonly string[] = [],
): Promise<PacketLaboratory> {
  const node = await createNetworkNamespace()
  const outside = await createNetworkNamespace()
  const pods = await createNetworkNamespace()
  const namespaces = [node, outside, pods]
  connect(node, outside, pods, podInterface)
  const agents = {
    outside: await startAgent(outside, ['eth0', MACS.eth0[1], MACS.eth0[0]]),
    pod: await startAgent(pods, ['eth0', MACS.pods[1], MACS.pods[0]]),
    node: await startAgent(node, ['raw', ...OWN_ADDRESSES, ...more, '--', ...SERVED_PORTS.map(String)]),
  }
  return {
    podInterface,
    run: node.run,
    applyRules: (family, payload) => {
      must(node, [family === 'ipv4' ? 'iptables-restore' : 'ip6tables-restore', '--wait', '10'], payload)
    },
    setRouteLocalnet: (on) =>
      must(node, ['sh', '-c', `echo ${on ? 1 : 0} > /proc/sys/net/ipv4/conf/all/route_localnet`]),
    send: async (packets, added = []) => {
      const own = [...OWN_ADDRESSES, ...added]
      for (const family of ['ipv4', 'ipv6']) node.run(['conntrack', '-F', '-f', family])
      const refused = new Set<number>()
      const places = ['outside', 'pod', 'node'] as const
      const answers = places.map((place) => {
        return agents[place].send(packets.filter(({ from }) => from === place).map(({ packet }) => packet))
      })
      for (const ports of await Promise.all(answers)) for (const port of ports) refused.add(port)
      // An answer may come out where nobody sent, and later than there was listened.
      const late = await Promise.all(places.map((place) => agents[place].send([])))
      for (const port of late.flat()) refused.add(port)
      const passed = new Map([...readFlows(node, 'ipv4'), ...readFlows(node, 'ipv6')])
      return new Map(packets.map((sent) => [sent.packet.sourcePort, observe(sent, own, passed, refused)]))
    },
    [Symbol.asyncDispose]: async () => {
      for (const agent of Object.values(agents)) agent.close()
      await Promise.all(namespaces.map((namespace) => namespace.close()))
    },
  }
}

function connect(
  node: NetworkNamespace,
  outside: NetworkNamespace,
  pods: NetworkNamespace,
  podInterface: string,
): void {
  const pid = ({ prefix }: NetworkNamespace) => /\/proc\/(\d+)\//.exec(prefix.join(' '))?.[1] ?? ''
  const sysctls = [
    'ipv4/ip_forward=1 ipv6/conf/all/forwarding=1 ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0',
    'ipv6/conf/all/accept_dad=0 ipv6/conf/default/accept_dad=0 ipv4/icmp_ratelimit=0 ipv4/icmp_msgs_per_sec=1000000',
    'ipv4/icmp_msgs_burst=100000 ipv6/icmp/ratelimit=0 netfilter/nf_conntrack_max=262144',
  ]
  const writes = sysctls.flatMap((line) => line.split(' ')).map((setting) => setting.split('='))
  const script = writes.map(([name, value]) => `[ ! -e ${name} ] || echo ${value} > ${name} 2>/dev/null || true`)
  must(node, ['sh', '-ec', `cd /proc/sys/net\n${script.join('\n')}`])
  const { ipv4, ipv6 } = NETWORKS
  must(
    node,
    ['ip', '-batch', '-'],
    [
      'link set lo up',
      `link add eth0 address ${MACS.eth0[0]} type veth peer name eth0 address ${MACS.eth0[1]} netns ${pid(outside)}`,
      `link add ${podInterface} address ${MACS.pods[0]} type veth peer name eth0 address ${MACS.pods[1]} netns ${pid(pods)}`,
      ...['eth0', podInterface].map((name) => `link set ${name} up`),
      ...ipv4.eth0.map((address) => `address add ${address} dev eth0`),
      ...ipv6.eth0.map((address) => `address add ${address} dev eth0 nodad`),
      ...ipv4.pods.map((address) => `address add ${address} dev ${podInterface}`),
      ...ipv6.pods.map((address) => `address add ${address} dev ${podInterface} nodad`),
      ...[ipv4.router, ipv6.router].flatMap((router) => [
        `neigh add ${router} lladdr ${MACS.eth0[1]} dev eth0 nud permanent`,
        `route add default via ${router} dev eth0`,
      ]),
      ...NEIGHBOURS.eth0.map((ip) => `neigh add ${ip} lladdr ${MACS.eth0[1]} dev eth0 nud permanent`),
      ...NEIGHBOURS.pods.map((ip) => `neigh add ${ip} lladdr ${MACS.pods[1]} dev ${podInterface} nud permanent`),
      '',
    ].join('\n'),
  )
  for (const namespace of [outside, pods]) must(namespace, ['ip', 'link', 'set', 'eth0', 'up'])
  // A reset of a closed port would end the entry that tells where the packet went.
  for (const tool of ['iptables', 'ip6tables']) {
    must(node, [tool, '-t', 'raw', '-A', 'OUTPUT', '-p', 'tcp', '--tcp-flags', 'RST', 'RST', '-j', 'DROP'])
  }
}

function must(namespace: NetworkNamespace, argv: readonly string[], input?: string): void {
  const { status, stderr } = namespace.run(argv, input)
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
}

interface TrackedFlow {
  readonly passed: Extract<Observed, { kind: 'passed' }>
  readonly answered: boolean
}

/** What the node sends itself is tracked before INPUT has let it in: only an answer tells. SCTP has no server here. */
function observe(
  { packet, from }: SentPacket,
  own: readonly string[],
  flows: ReadonlyMap<number, TrackedFlow>,
  refused: ReadonlySet<number>,
): Observed {
  const flow = flows.get(packet.sourcePort)
  if (refused.has(packet.sourcePort)) return { kind: 'reject' }
  if (flow === undefined) return { kind: 'drop' }
  const stays = from === 'node' && own.includes(flow.passed.destination)
  return stays && packet.protocol !== 'sctp' && !flow.answered ? { kind: 'drop' } : flow.passed
}

interface Agent {
  /** The source ports of packets that were refused. */
  readonly send: (packets: readonly Packet[]) => Promise<readonly number[]>
  readonly close: () => void
}

async function startAgent(namespace: NetworkNamespace, args: readonly string[]): Promise<Agent> {
  const [program = '', ...rest] = [...namespace.prefix, 'python3', AGENT, ...args]
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await nextLine(lines)
  return {
    send: async (packets) => {
      const words = packets.map((packet) => [
        packet.protocol,
        packet.source,
        packet.sourcePort,
        packet.destination,
        packet.destinationPort,
      ])
      child.stdin.write(`${JSON.stringify(words)}\n`)
      return JSON.parse(await nextLine(lines)) as readonly number[]
    },
    close: () => void child.kill('SIGKILL'),
  }
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const { done, value } = await lines.next()
  if (done === true) throw new Error('the agent has ended')
  return value
}

/** Both directions of each entry, by the client's port (of icmp: its identifier). */
function readFlows(node: NetworkNamespace, family: Family): readonly (readonly [number, TrackedFlow])[] {
  const { stdout } = node.run(['conntrack', '-L', '-f', family])
  return stdout.split('\n').flatMap((line): readonly (readonly [number, TrackedFlow])[] => {
    const values = [...line.matchAll(/\b(src|dst|sport|dport|id)=(\S+)/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ])
    const all = (name: string) => values.filter(([key]) => key === name).map(([, value = '']) => value)
    const [client = '', from = ''] = all('src')
    const [, seen = ''] = all('dst')
    const port = all('sport')[0] ?? all('id')[0]
    if (client === '' || from === '' || port === undefined) return []
    const destinationPort = Number(all('sport')[1] ?? 0)
    const passed = { kind: 'passed', destination: from, destinationPort, sourceSeen: seen } as const
    return [[Number(port), { passed, answered: !line.includes('[UNREPLIED]') }]]
  })
}
