// What people get wrong about the rules around the Services: numbers are those of the list of subtle behaviours that
// kube-proxy has.
import { describe, expect, test } from 'vitest'
import {
  createCompiler,
  defaultProxyConfig,
  describeNode,
  diffPrograms,
  link,
  measureProgram,
  printPayload,
  printRestore,
} from '../../src/index.ts'
import { parseCidr } from '../../src/model/address.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { bulkEntry, entryOf, snapshotOf } from '../support/arbitrary-cluster.ts'
import { compiled, elsewhere, service, slice } from '../support/compiled-lines.ts'

const READY = { ready: true, serving: true, terminating: false }
const INVALID = '-m conntrack --ctstate INVALID'
const NOTE = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'

function cidrs(...texts: readonly string[]) {
  return texts.flatMap((text) => parseCidr(text) ?? [])
}

describe('(71, 72) the jumps of the base chains', () => {
  test.each(['ipv4', 'ipv6'] as const)("are in kube-proxy's order for %s, and only two have no state", (family) => {
    const { filter, nat } = compiled([], { family })
    const portals = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    const external = '-m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES'
    const firewall = '-m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL'
    const isNew = '-m conntrack --ctstate NEW'
    expect(filter('INPUT')).toEqual([
      '-j KUBE-FIREWALL',
      `${isNew} ${firewall}`,
      '-m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
      `${isNew} ${external}`,
    ])
    expect(filter('FORWARD')).toEqual([
      `${isNew} ${firewall}`,
      '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
      `${isNew} ${portals}`,
      `${isNew} ${external}`,
    ])
    expect(filter('OUTPUT')).toEqual(['-j KUBE-FIREWALL', `${isNew} ${firewall}`, `${isNew} ${portals}`])
    expect(nat('PREROUTING')).toEqual([portals])
    expect(nat('OUTPUT')).toEqual([portals])
    expect(nat('POSTROUTING')).toEqual(['-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'])
  })

  test('are inserted at the top one by one, so that they end up in reverse', () => {
    const inserts = printPayload(compiled([]).program)
      .split('\n')
      .filter((line) => line.startsWith('-I INPUT'))
    expect(inserts.map((line) => line.replace(/.*-j /, ''))).toEqual([
      'KUBE-EXTERNAL-SERVICES',
      'KUBE-NODEPORTS',
      'KUBE-PROXY-FIREWALL',
      'KUBE-FIREWALL',
    ])
  })
})

test('(51) the payload has filter before nat, and the jumps to node ports as the last of the chains of Services', () => {
  const objects = [service({ ports: [{ name: 'p80', port: 80, nodePort: 30_000 }] }), slice([elsewhere('10.180.0.1')])]
  const lines = printPayload(compiled(objects).program).split('\n')
  expect(lines.filter((line) => line.startsWith('*'))).toEqual(['*mangle', '*filter', '*nat'])
  expect(lines.findLast((line) => line.startsWith('-A'))).toBe(
    `-A KUBE-SERVICES ${NOTE} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`,
  )
})

describe('(63) KUBE-FIREWALL', () => {
  const rule =
    '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP'
  test('guards 127.0.0.0/8 where node ports answer there', () => {
    expect(compiled([]).filter('KUBE-FIREWALL')).toEqual([rule])
  })
  test.each([
    ['for IPv6', { family: 'ipv6' as const }],
    ['with localhost node ports switched off', { config: { localhostNodePorts: false } }],
    ['with node ports on other addresses', { config: { nodePortAddresses: cidrs('192.168.0.0/16') } }],
  ])('is empty %s, and there', (_, circumstances) => {
    const lines = compiled([], circumstances)
    expect(lines.filter('KUBE-FIREWALL')).toEqual([])
    expect(link(lines.program).tables.get('filter')?.has('KUBE-FIREWALL')).toBe(true)
  })
})

describe('(64) the rule against packets that conntrack takes for invalid', () => {
  const first = (features: object) => {
    const { filter } = compiled([], { features })
    return filter('KUBE-FORWARD')[0]
  }
  test('counts what it drops', () => {
    expect(first({})).toBe(`${INVALID} -m nfacct --nfacct-name  ct_state_invalid_dropped_pkts -j DROP`)
  })
  test('does not count without counters', () => expect(first({ nfacct: false })).toBe(`${INVALID} -j DROP`))
  test('is left out where conntrack is liberal', () => {
    const lines = compiled([], { features: { tcpBeLiberal: true } }).filter('KUBE-FORWARD')
    expect(lines).toEqual([
      '-m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
      '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ])
  })
})

test('masquerading takes random ports where the tool knows how', () => {
  const last = (randomFully: boolean) => compiled([], { features: { randomFully } }).nat('KUBE-POSTROUTING').at(-1)
  const rule = '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE'
  expect(last(false)).toBe(rule)
  expect(last(true)).toBe(`${rule} --random-fully`)
})

describe('(13, 65) a node port', () => {
  const objects = [service({ ports: [{ name: 'p80', port: 80, nodePort: 30_000 }] }), slice([elsewhere('10.180.0.1')])]
  const plain = '-p tcp -m comment --comment "ns1/svc1:p80" -m tcp --dport 30000'
  const EXT = 'KUBE-EXT-XPGD46QRK7WJZT7O'

  test('is counted on localhost first', () => {
    expect(compiled(objects).nat('KUBE-NODEPORTS')).toEqual([
      `-d 127.0.0.0/8 ${plain} -m nfacct --nfacct-name  localhost_nps_accepted_pkts -j ${EXT}`,
      `${plain} -j ${EXT}`,
    ])
  })

  test.each([
    ['without counters', { features: { nfacct: false } }],
    ['with localhost node ports switched off', { config: { localhostNodePorts: false } }],
    ['with node ports on other addresses', { config: { nodePortAddresses: cidrs('192.168.0.0/16') } }],
  ])('is not counted %s', (_, circumstances) => {
    expect(compiled(objects, circumstances).nat('KUBE-NODEPORTS')).toEqual([`${plain} -j ${EXT}`])
  })
})

describe('(66, 67) the jump to node ports at the end', () => {
  const addresses = ['127.0.0.1', '::1', '192.168.1.64', '192.168.1.63', '192.168.1.63', 'fd00:192::63']
  const jumps = (family: 'ipv4' | 'ipv6', ...nodePortAddresses: readonly string[]) =>
    compiled([], { family, addresses, config: { nodePortAddresses: cidrs(...nodePortAddresses) } }).nat('KUBE-SERVICES')

  test('is for every local address by default, without the loopback that does not answer', () => {
    expect(jumps('ipv4')).toEqual([`${NOTE} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`])
    expect(jumps('ipv6')).toEqual([`! -d ::1/128 ${NOTE} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`])
    expect(compiled([], { config: { localhostNodePorts: false } }).nat('KUBE-SERVICES')).toEqual([
      `! -d 127.0.0.0/8 ${NOTE} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`,
    ])
  })

  test('is one for each address in the CIDRs, each once', () => {
    expect(jumps('ipv4', '192.168.0.0/16')).toEqual([
      `-d 192.168.1.63/32 ${NOTE} -j KUBE-NODEPORTS`,
      `-d 192.168.1.64/32 ${NOTE} -j KUBE-NODEPORTS`,
    ])
  })

  test('is for loopback only where localhost node ports are active', () => {
    expect(jumps('ipv4', '127.0.0.0/8')).toEqual([`-d 127.0.0.1/32 ${NOTE} -j KUBE-NODEPORTS`])
    expect(jumps('ipv6', '::1/128', 'fd00::/8')).toEqual([`-d fd00:192::63/128 ${NOTE} -j KUBE-NODEPORTS`])
  })

  test('is missing when no address is in the CIDRs', () => {
    expect(jumps('ipv4', '203.0.113.0/24')).toEqual([])
  })

  test('is for every address of a family that has no CIDR', () => {
    expect(jumps('ipv6', '192.168.0.0/16')).toEqual(jumps('ipv6'))
  })
})

/** Bulk endpoints are known and not ready; one more Service has ready ones. */
function largeCluster(bulk: number): Snapshot {
  return snapshotOf([bulkEntry(bulk), twoEndpoints()])
}

function twoEndpoints() {
  const { service: like } = bulkEntry(0)
  const ips = bulkEntry(2).slices[0]?.endpoints ?? []
  const body = {
    family: 'ipv4' as const,
    ports: [{ name: '', protocol: 'tcp' as const, port: 80 }],
    endpoints: ips.map((endpoint) => ({ ...endpoint, ...READY })),
  }
  return entryOf({ ...like, namespace: 'ns1', name: 'two' }, [body])
}

describe('large clusters', () => {
  const config = defaultProxyConfig()
  const { facts } = describeNode('node1', undefined, config, undefined)
  const endpointComment = /--comment "ns1\/two(?: -> .*)?"/

  test.each([
    [998, true],
    [999, false],
  ])('(59) two endpoints and %i that are not ready: comments of endpoint rules are written: %s', (bulk, comments) => {
    const payload = printPayload(createCompiler(config, facts, 'ipv4')(largeCluster(bulk)))
    expect(endpointComment.test(payload)).toBe(comments)
  })

  test('(59) an endpoint counts once for each port of its Service', () => {
    const { service: like, slices } = bulkEntry(501)
    const names = ['a', 'b'].map((name) => ({ name, protocol: 'tcp' as const, port: 80 }))
    const entry = entryOf(
      { ...like, ports: names },
      slices.map((each) => ({ ...each, ports: names })),
    )
    const program = createCompiler(config, facts, 'ipv4')(snapshotOf([entry, twoEndpoints()]))
    expect(measureProgram(program).endpoints).toBe(1004)
    expect(endpointComment.test(printPayload(program))).toBe(false)
  })

  test('(60) drop only the comments that are about endpoints', () => {
    const payload = printPayload(createCompiler(config, facts, 'ipv4')(largeCluster(1000)))
    expect(payload).toContain('--comment "ns1/two cluster IP"')
    const endpointRules = payload.split('\n').filter((line) => /^-A KUBE-S(?:EP|VC)-/.test(line))
    expect(endpointRules).toHaveLength(6)
    expect(endpointRules.filter((line) => line.includes('--comment'))).toEqual([])
    expect(endpointRules.filter((line) => line.includes('--probability 0.50000000000'))).toHaveLength(1)
  })
})

describe('changes', () => {
  const config = defaultProxyConfig()
  const { facts } = describeNode('node1', undefined, config, undefined)

  test('(53) a chain that goes has its chain line, which empties it, before -X', () => {
    const compiler = createCompiler(config, facts, 'ipv4')
    const before = compiler(largeCluster(0))
    const lines = printRestore(diffPrograms(compiler(snapshotOf([bulkEntry(0)])), before)).split('\n')
    const deleted = lines.flatMap((line) => /^-X (\S+)$/.exec(line)?.[1] ?? [])
    expect(deleted).toHaveLength(3)
    for (const chain of deleted) {
      expect(lines.indexOf(`:${chain} - [0:0]`)).toBeGreaterThan(-1)
      expect(lines.indexOf(`:${chain} - [0:0]`)).toBeLessThan(lines.indexOf(`-X ${chain}`))
    }
  })

  test('(54, 55, 57) a Service that was only read again costs nothing', () => {
    const compiler = createCompiler(config, facts, 'ipv4')
    const before = compiler(largeCluster(0))
    expect(printRestore(diffPrograms(compiler(structuredClone(largeCluster(0))), before))).toBe('')
  })
})

// Formulas of kube-proxy's own metrics test: ClusterIP, local detector, localhost node ports.
test.each([
  [0, 0, 4, 5],
  [1, 0, 5, 5],
  [1, 1, 4, 10],
  [1, 2, 4, 13],
  [1, 10, 4, 37],
  [10, 10, 4, 325],
])(
  '%i ClusterIP Services with %i endpoints each have %i rules in filter and %i in nat',
  (services, endpoints, filter, nat) => {
    const config = { ...defaultProxyConfig(), clusterCIDRs: cidrs('10.0.0.0/8') }
    const { facts } = describeNode('node1', undefined, config, undefined)
    const { service: like, slices } = bulkEntry(endpoints)
    const bodies = slices.map((each) => ({ ...each, endpoints: each.endpoints.map((one) => ({ ...one, ...READY })) }))
    const entries = Array.from({ length: services }, (_, index) => entryOf({ ...like, name: `svc${index}` }, bodies))
    const { tables } = link(createCompiler(config, facts, 'ipv4')(snapshotOf(entries)))
    const count = (table: string) =>
      [...(tables.get(table) ?? [])].reduce(
        (sum, [name, { rules }]) => (name.startsWith('KUBE-') ? sum + rules.length : sum),
        0,
      )
    expect({ filter: count('filter'), nat: count('nat') }).toEqual({ filter, nat })
  },
)
