// A cluster of network namespaces on this machine's own kernel, for real packets:
//
//   outside ---- fabric (router) ---- node 0, 1, 2        one network of nodes
//                                      | cni0 (bridge, hairpin on)
//                                     pod 0, pod 1        one network of pods for each node
//
// Both families throughout. Nodes route to each other's pods, as a cluster's network plug-in makes them. Nothing of it
// is in this machine's own namespace, and all of it is gone with the processes that hold the namespaces.
import type { Family } from '../../src/index.ts'
import { createNamespace, type Namespace } from './agent.ts'

export const NODES = 3
/** All nodes share the lock of iptables-legacy, and each of them may take seconds on a busy machine. */
export const LOCK_SECONDS = '120'
export const PODS_PER_NODE = 2

/** The laboratory's addresses of one family. */
export interface AddressPlan {
  readonly podCIDR: string
  /** Whatever the client outside has. */
  readonly outside: string
  readonly node: (node: number) => string
  /** Addresses of every node on an interface that the fabric does not know. */
  readonly secondary: (node: number) => string
  readonly pod: (node: number, pod: number) => string
  /** Cluster IPs: nobody has them. */
  readonly clusterIP: (number: number) => string
  /** External and load-balancer IPs: the fabric can route them to a node, and nobody has them. */
  readonly external: (number: number) => string
  readonly loopback: string
}

export const ADDRESSES: Readonly<Record<Family, AddressPlan>> = {
  ipv4: {
    podCIDR: '10.244.0.0/16',
    outside: '203.0.113.2',
    node: (node) => `172.18.0.${10 + node}`,
    secondary: (node) => `172.19.${node + 1}.1`,
    pod: (node, pod) => `10.244.${node + 1}.${10 + pod}`,
    clusterIP: (number) => `172.30.0.${number}`,
    external: (number) => `198.51.100.${number}`,
    loopback: '127.0.0.1',
  },
  ipv6: {
    podCIDR: 'fd00:244::/48',
    outside: 'fd00:203::2',
    node: (node) => `fd00:18::1${node}`,
    secondary: (node) => `fd00:19:0:${node + 1}::1`,
    pod: (node, pod) => `fd00:244:0:${node + 1}::1${pod}`,
    clusterIP: (number) => `fd00:30::${number}`,
    external: (number) => `fd00:198::${number}`,
    loopback: '::1',
  },
}

export interface LabNode extends Namespace {
  /** Makes the payload of each family the only rules of the node, each table in one step. */
  applyRules(payloads: Readonly<Partial<Record<Family, string>>>): Promise<void>
  /** Forgets all connections, or those of one protocol. */
  flushConntrack(protocol?: 'udp'): Promise<void>
}

/** How nodes are programmed. */
export type LabMode = 'iptables' | 'ipvs'

export interface Laboratory extends AsyncDisposable {
  readonly mode: LabMode
  node(index: number): LabNode
  pod(node: number, index: number): Namespace
  readonly outside: Namespace
  readonly nodes: readonly LabNode[]
  readonly pods: readonly Namespace[]
  /** Sends what is for the address, from outside and from the nodes' network, to the node. */
  routeTo(address: string, node: number): Promise<void>
  /** What was sent to which node by `routeTo`. */
  readonly routes: ReadonlyMap<string, number>
}

export interface LaboratoryOptions {
  /** Of the iptables tools; the host's default when absent. */
  readonly variant?: 'nft' | 'legacy'
  /** False: `flushConntrack` does nothing, which saves processes where each is dear and no flow outlives its question. */
  readonly forgetsFlows?: boolean
  /** iptables when absent; ipvs only where the kernel has its module loaded. */
  readonly mode?: LabMode
}

/** Why there can be no laboratory here; undefined when there can. */
export function whatLaboratoryLacks(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux'
  return process.getuid?.() === 0 ? undefined : 'it needs root, for network namespaces and iptables'
}

/** Pods serve nothing until they are told to. Takes about a second. Dispose of it with `await using`. */
export async function createLaboratory(options: LaboratoryOptions = {}): Promise<Laboratory> {
  const open: Namespace[] = []
  const close = async () => void (await Promise.all(open.map((namespace) => namespace.close())))
  const create = async (name: string) => {
    const namespace = await createNamespace(name)
    open.push(namespace)
    return namespace
  }
  const indexes = Array.from({ length: NODES * PODS_PER_NODE }, (_, index) => index)
  try {
    const names = ['fabric', 'outside', ...indexes.slice(0, NODES).map((node) => `node-${node}`)]
    const podNames = indexes.map((index) => `pod-${Math.floor(index / PODS_PER_NODE)}-${index % PODS_PER_NODE}`)
    const [fabric, outside, ...others] = await allOrNone([...names, ...podNames].map(create))
    if (fabric === undefined || outside === undefined) throw new Error('no namespaces')
    const nodes = others.slice(0, NODES).map((namespace) => asNode(namespace, options))
    const pods = others.slice(NODES)
    await connectEverything(fabric, outside, nodes, pods)
    const { mode = 'iptables' } = options
    const routes = new Map<string, number>()
    if (mode === 'ipvs') await Promise.all(nodes.map((node) => sysctl(node, IPVS_SYSCTLS)))
    return {
      mode,
      node: (index) => at(nodes, index),
      pod: (node, index) => at(pods, node * PODS_PER_NODE + index),
      outside,
      nodes,
      pods,
      routeTo: async (address, node) => {
        const via = ADDRESSES[address.includes(':') ? 'ipv6' : 'ipv4'].node(node)
        await fabric.exec(['ip', 'route', 'replace', address, 'via', via])
        routes.set(address, node)
      },
      routes,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Waits for all, so that none is still at work when what comes after the first that failed begins. */
export async function allOrNone<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index]
  if (found === undefined) throw new RangeError(`the laboratory has no number ${index}`)
  return found
}

function asNode(namespace: Namespace, { variant, forgetsFlows = true }: LaboratoryOptions): LabNode {
  const middle = variant === undefined ? '' : `-${variant}`
  const tools = { ipv4: `iptables${middle}-restore`, ipv6: `ip6tables${middle}-restore` } as const
  return {
    ...namespace,
    applyRules: async (payloads) => {
      for (const family of ['ipv4', 'ipv6'] as const) {
        const payload = payloads[family]
        if (payload !== undefined) await namespace.exec([tools[family], '--wait', LOCK_SECONDS], payload)
      }
    },
    flushConntrack: async (protocol) => {
      if (!forgetsFlows) return
      const all = protocol === undefined ? ['-F'] : ['-D', '-p', protocol]
      // Without entries the tool says so and fails.
      for (const family of ['ipv4', 'ipv6']) {
        await namespace.exec(['conntrack', ...all, '-f', family] as [string, ...string[]]).catch(() => {})
      }
    },
  }
}

async function connectEverything(
  fabric: Namespace,
  outside: Namespace,
  nodes: readonly LabNode[],
  pods: readonly Namespace[],
): Promise<void> {
  await Promise.all([fabric, outside, ...nodes, ...pods].map((namespace) => sysctl(namespace, COMMON_SYSCTLS)))
  await sysctl(fabric, ROUTER_SYSCTLS)
  await ip(fabric, [
    'link set lo up',
    // Names of the nodes' ends, which the nodes know as eth0.
    ...nodes.map((node, index) => `link add node${index} type veth peer name eth0 netns ${node.pid}`),
    `link add outside type veth peer name eth0 netns ${outside.pid}`,
    'link add lan type bridge',
    ...nodes.flatMap((_, index) => [`link set node${index} master lan`, `link set node${index} up`]),
    ...['lan up', 'outside up'].map((link) => `link set ${link}`),
    ...['172.18.0.1/24 dev lan', '203.0.113.1/24 dev outside'].map((address) => `address add ${address}`),
    ...['fd00:18::1/64 dev lan', 'fd00:203::1/64 dev outside'].map((address) => `address add ${address} nodad`),
  ])
  await ip(outside, [
    'link set lo up',
    'link set eth0 up',
    'address add 203.0.113.2/24 dev eth0',
    'address add fd00:203::2/64 dev eth0 nodad',
    'route add default via 203.0.113.1',
    'route add default via fd00:203::1',
  ])
  await Promise.all(nodes.map((node, index) => connectNode(node, index, podsOf(pods, index))))
}

function podsOf(pods: readonly Namespace[], node: number): readonly Namespace[] {
  return pods.slice(node * PODS_PER_NODE, (node + 1) * PODS_PER_NODE)
}

async function connectNode(node: LabNode, index: number, pods: readonly Namespace[]): Promise<void> {
  const others = Array.from({ length: NODES }, (_, other) => other).filter((other) => other !== index)
  const { ipv4, ipv6 } = ADDRESSES
  await sysctl(node, ROUTER_SYSCTLS)
  await ip(node, [
    'link set lo up',
    'link set eth0 up',
    `address add ${ipv4.node(index)}/24 dev eth0`,
    `address add ${ipv6.node(index)}/64 dev eth0 nodad`,
    'route add default via 172.18.0.1',
    'route add default via fd00:18::1',
    'link add second type bridge',
    'link set second up',
    `address add ${ipv4.secondary(index)}/24 dev second`,
    `address add ${ipv6.secondary(index)}/64 dev second nodad`,
    'link add cni0 type bridge',
    'link set cni0 up',
    `address add 10.244.${index + 1}.1/24 dev cni0`,
    `address add fd00:244:0:${index + 1}::1/64 dev cni0 nodad`,
    ...others.flatMap((other) => [
      `route add 10.244.${other + 1}.0/24 via ${ipv4.node(other)}`,
      `route add fd00:244:0:${other + 1}::/64 via ${ipv6.node(other)}`,
    ]),
    ...pods.flatMap((pod, number) => [
      `link add pod${number} type veth peer name eth0 netns ${pod.pid}`,
      `link set pod${number} master cni0`,
      `link set pod${number} type bridge_slave hairpin on`,
      `link set pod${number} up`,
    ]),
  ])
  await Promise.all(
    pods.map((pod, number) =>
      ip(pod, [
        'link set lo up',
        'link set eth0 up',
        `address add ${ipv4.pod(index, number)}/24 dev eth0`,
        `address add ${ipv6.pod(index, number)}/64 dev eth0 nodad`,
        `route add default via 10.244.${index + 1}.1`,
        `route add default via fd00:244:0:${index + 1}::1`,
      ]),
    ),
  )
}

/**
 * Reverse path filtering off, IPv6 addresses usable at once, and no limit on the ICMP messages that a REJECT sends: by
 * default a client gets six at once and then one per second, and the other questions of a test would seem dropped.
 */
const COMMON_SYSCTLS: Readonly<Record<string, string>> = {
  'net/ipv4/conf/all/rp_filter': '0',
  'net/ipv4/conf/default/rp_filter': '0',
  'net/ipv6/conf/all/accept_dad': '0',
  'net/ipv6/conf/default/accept_dad': '0',
  'net/ipv4/icmp_ratelimit': '0',
  'net/ipv4/icmp_msgs_per_sec': '100000',
  'net/ipv4/icmp_msgs_burst': '10000',
  'net/ipv6/icmp/ratelimit': '0',
}

/** What kubelets and network plug-ins set on nodes; route_localnet is kube-proxy's. */
const ROUTER_SYSCTLS: Readonly<Record<string, string>> = {
  'net/ipv4/ip_forward': '1',
  'net/ipv6/conf/all/forwarding': '1',
  'net/ipv4/conf/all/route_localnet': '1',
  'net/bridge/bridge-nf-call-iptables': '1',
  'net/bridge/bridge-nf-call-ip6tables': '1',
}

/** What the agent sets in IPVS mode (src/sync/ipvs/kernel-settings.ts has the reasons). */
const IPVS_SYSCTLS: Readonly<Record<string, string>> = {
  'net/ipv4/vs/conntrack': '1',
  'net/ipv4/vs/expire_nodest_conn': '1',
  'net/ipv4/vs/expire_quiescent_template': '1',
}

/** Settings that the kernel does not have, such as those of bridges without br_netfilter, are left out. */
async function sysctl(namespace: Namespace, settings: Readonly<Record<string, string>>): Promise<void> {
  const writes = Object.entries(settings).map(([name, value]) => `[ ! -e ${name} ] || echo ${value} > ${name}`)
  await namespace.exec(['sh', '-ec', `cd /proc/sys\n${writes.join('\n')}`])
}

async function ip(namespace: Namespace, commands: readonly string[]): Promise<void> {
  await namespace.exec(['ip', '-batch', '-'], `${commands.join('\n')}\n`)
}
