// What ipvs-syncer.test.ts runs in the second kernel: the syncer with the real tools, through changes that somebody makes
// to the kernel, and the fake host beside the real one. Writes one line of JSON for each test.

import { parseIpsetSave } from '../../src/ipset/parse.ts'
import { printIpsetSave } from '../../src/ipset/print.ts'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import { linkIpvs } from '../../src/ipvs/link.ts'
import { parseIpvsadmSave } from '../../src/ipvs/parse.ts'
import { printIpvsadmSave } from '../../src/ipvs/print.ts'
import type { IpvsProgram } from '../../src/ipvs/program.ts'
import { type Cidr, FAMILIES, type Family, familyOfIp, type Ip } from '../../src/model/address.ts'
import type { ServiceEntry } from '../../src/model/snapshot.ts'
import { createIpvsSyncer, type IpvsSyncer } from '../../src/sync/ipvs/syncer.ts'
import { createFakeIpvsHost } from '../support/fake-ipvs.ts'
import { endpointIps, plainNode, serviceEntry, snapshotOf } from '../support/many-services.ts'
import { CONFIG } from '../support/syncer-model.ts'
import { DEVICE, hands, processes, run } from './device-hands.ts'
import { TOOL_STEPS } from './ipvs-tool-steps.ts'

export interface TestResult {
  readonly test: string
  /** Absent when it holds. */
  readonly failure?: string
  /** Milliseconds, by what was done. */
  readonly times?: Readonly<Record<string, number>>
}

const NEVER = new AbortController().signal
const clock = { now: 0 }

function startSyncer(family: Family): IpvsSyncer {
  return createIpvsSyncer({ hands, family, variant: 'legacy', now: () => clock.now, device: DEVICE })
}

function compilerOf(family: Family) {
  return createIpvsCompiler(CONFIG, plainNode(), family)
}

/** `line` as an administrator types it. */
async function shell(line: string, stdin = ''): Promise<string> {
  return (await run({ argv: ['sh', '-c', line], stdin, timeoutMs: 120_000, accept: [0, 1, 2, 255] })).stdout
}

async function wipe(): Promise<void> {
  await shell(
    `ipvsadm -C; ip link del ${DEVICE}; for i in iptables ip6tables; do for t in nat filter; do $i -t $t -F; $i -t $t -X; done; done; ipset destroy`,
  )
}

/** Throws unless the kernel has exactly what the programs want; what is foreign is left out. */
async function expectKernel(...programs: readonly IpvsProgram[]): Promise<void> {
  const states = programs.map(linkIpvs)
  const families = programs.map(({ family }) => family)
  const servers = parseIpvsadmSave(await shell('ipvsadm -Sn')).services.filter(
    ({ name }) => !/198\.51\.100\.|-f /.test(name),
  )
  expectEqual(
    'virtual servers',
    printIpvsadmSave(servers),
    printIpvsadmSave(
      states.flatMap(({ virtualServers }) => [...virtualServers.values()].map(({ virtualServer }) => virtualServer)),
    ),
  )
  const saved = [...parseIpsetSave(await shell('ipset save')).sets.values()].filter(
    ({ name }) => !name.startsWith('FOREIGN'),
  )
  const grown = /hashsize \d+/g
  expectEqual(
    'sets',
    printIpsetSave(saved).replaceAll(grown, 'hashsize'),
    printIpsetSave(states.flatMap(({ sets }) => [...sets.values()])).replaceAll(grown, 'hashsize'),
  )
  const addresses = (await hands.listDeviceAddresses())?.filter(
    (ip) => families.includes(familyOfIp(ip)) && !ip.startsWith('fe80:'),
  )
  expectEqual(
    'addresses',
    addresses?.toSorted().join('\n') ?? 'no device',
    states
      .flatMap((state) => [...state.addresses])
      .toSorted()
      .join('\n'),
  )
}

function expectEqual(what: string, actual: string, expected: string): void {
  if (actual === expected) return
  const [a, b] = [new Set(actual.split('\n')), new Set(expected.split('\n'))]
  const more = [...a].filter((line) => !b.has(line)).slice(0, 5)
  const less = [...b].filter((line) => !a.has(line)).slice(0, 5)
  throw new Error(`${what}: too much ${JSON.stringify(more)}, missing ${JSON.stringify(less)}`)
}

/** A Service of every shape. */
function variedServices(family: Family, endpoints: readonly string[]): readonly ServiceEntry[] {
  const vip = (index: number) => (family === 'ipv4' ? `203.0.113.${index}` : `fd00:99::${index}`) as Ip
  const range = (family === 'ipv4' ? '198.51.100.0/24' : 'fd00:98::/64') as never
  const everybody = (family === 'ipv4' ? '0.0.0.0/0' : '::/0') as never
  return (['tcp', 'udp', 'sctp'] as const).flatMap((protocol, index) => [
    serviceEntry(index * 3, endpoints, family, {
      type: 'LoadBalancer',
      ports: [{ name: 'p', protocol, port: 80, nodePort: 30_000 + index }],
      loadBalancerIPs: [vip(index + 1)],
      externalIPs: [vip(index + 11)],
      loadBalancerSourceRanges: [range],
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 31_000 + index,
    }),
    serviceEntry(index * 3 + 1, endpoints, family, {
      ports: [{ name: 'p', protocol, port: 80 }],
      affinitySeconds: 300,
    }),
    serviceEntry(index * 3 + 2, [], family, {
      type: 'LoadBalancer',
      ports: [{ name: 'p', protocol, port: 80 }],
      loadBalancerIPs: [vip(index + 21)],
      loadBalancerSourceRanges: [everybody],
    }),
  ])
}

const DAMAGE = [
  "ipvsadm -Sn | sed -n 's/^-A \\(.*\\) -s .*/-D \\1/p' | grep -Ev '198.51.100|-f' | ipvsadm -R",
  'ipvsadm -E -t 172.30.0.1:80 -s sh -p 60',
  'ipvsadm -a -t 172.30.0.1:80 -r 10.9.9.9:9 -i -w 3; ipvsadm -e -t 172.30.0.1:80 -r 10.1.0.1:8080 -g -w 7',
  'ipvsadm -a -t [fd00:30::1]:80 -r [fd00:9::9]:9 -g; ipvsadm -D -t [fd00:30::2]:80',
  'for s in $(ipset list -n | grep KUBE-); do ipset flush $s; done',
  'ipset add KUBE-CLUSTER-IP 10.99.0.1,tcp:99; ipset add KUBE-NODE-PORT-TCP 12345',
  `ip addr add 10.98.0.1/32 dev ${DEVICE}; ip addr del 172.30.0.1/32 dev ${DEVICE}`,
  `ip link del ${DEVICE}`,
  'iptables -t nat -F KUBE-SERVICES; iptables -t nat -F PREROUTING; ip6tables -t filter -F INPUT',
] as const

const FOREIGN = `ipvsadm -A -t 198.51.100.7:80 -s wlc; ipvsadm -a -t 198.51.100.7:80 -r 198.51.100.9:80 -g -w 7
ipvsadm -A -f 5 -s rr; ipset create FOREIGN hash:ip; ipset add FOREIGN 198.51.100.1; iptables -A INPUT -m set --match-set FOREIGN src -j ACCEPT`

async function foreignParts(): Promise<string> {
  return shell(
    `ipvsadm -Sn | grep -E '198.51.100|-f 5'; ipset save FOREIGN | sed 's/ initval.*//'; iptables -S INPUT | grep FOREIGN`,
  )
}

/** Both families, so that neither touches what is the other's. */
async function repairs(): Promise<void> {
  await wipe()
  await shell(FOREIGN)
  let foreign = await foreignParts()
  const programs = new Map(
    FAMILIES.map((family) => [
      family,
      compilerOf(family)(snapshotOf(variedServices(family, [family === 'ipv4' ? '10.1.0.1' : 'fd00:1::1']))),
    ]),
  )
  const syncers = new Map(FAMILIES.map((family) => [family, startSyncer(family)]))
  const all = async (work: (syncer: IpvsSyncer, program: IpvsProgram) => Promise<unknown>) => {
    for (const [family, syncer] of syncers) {
      const program = programs.get(family)
      if (program !== undefined) await work(syncer, program)
    }
  }
  const settle = () =>
    all(async (syncer, program) => {
      for (let count = 0; count < 5; count += 1) {
        clock.now += 100_000
        const { isolated, retryInMs } = await syncer.sync(program, NEVER)
        if (isolated.length > 0) throw new Error(`refused: ${isolated.join()}`)
        if (retryInMs === undefined) return
      }
      throw new Error('does not settle')
    })
  await settle()
  await expectKernel(...programs.values())
  for (const damage of DAMAGE) {
    await shell(damage)
    foreign = await foreignParts()
    let found = 0
    await all(async (syncer) => {
      found += (await syncer.readBack(NEVER)).findings.length
    })
    if (found === 0) throw new Error(`reading back does not find: ${damage}`)
    await settle()
    await expectKernel(...programs.values())
    expectEqual(`foreign parts after ${damage}`, await foreignParts(), foreign)
    await all(async (syncer) => {
      const findings = [...(await syncer.check(NEVER)).findings, ...(await syncer.readBack(NEVER)).findings]
      if (findings.length > 0) throw new Error(`after ${damage}: ${JSON.stringify(findings)}`)
    })
  }
  processes.length = 0
  for (const family of FAMILIES) {
    const program = programs.get(family)
    const report = program && (await startSyncer(family).sync(program, NEVER))
    if (report?.lines !== 0) throw new Error(`a restart writes ${report?.lines} lines: ${processes.join()}`)
  }
  expectEqual('foreign parts', await foreignParts(), foreign)
  for (const family of FAMILIES) programs.set(family, compilerOf(family)(snapshotOf([])))
  await settle()
  await expectKernel(...programs.values())
  expectEqual('foreign parts', await foreignParts(), foreign)
}

/** More entries than a set of kube-proxy holds, all of a sudden, while rules use the set. */
async function growsSets(): Promise<void> {
  await wipe()
  const compiler = compilerOf('ipv4')
  const syncer = startSyncer('ipv4')
  const guarded = (count: number) =>
    serviceEntry(0, [], 'ipv4', {
      type: 'LoadBalancer',
      loadBalancerIPs: ['203.0.113.1' as Ip, '203.0.113.2' as Ip, '203.0.113.3' as Ip],
      loadBalancerSourceRanges: Array.from(
        { length: count },
        (_, index) => `10.${index >> 14}.${(index >> 6) & 255}.${(index & 63) * 4}/30` as Cidr,
      ),
    })
  await syncer.sync(compiler(snapshotOf([guarded(10)])), NEVER)
  const program = compiler(snapshotOf([guarded(22_000)]))
  await syncer.sync(program, NEVER)
  const header = await shell('ipset list -t KUBE-LOAD-BALANCER-SOURCE-CIDR')
  // All of it is not read: that takes as long as writing it.
  if (!/maxelem 131072[^]*References: [1-9]\d*\nNumber of entries: 66000/.test(header))
    throw new Error(`not grown: ${header}`)
  if ((await syncer.check(NEVER)).findings.length > 0) throw new Error('it is not as it was left')
  if ((await shell('ipset list -n')).includes('SLUICE')) throw new Error('the temporary set is left over')
}

/** The same commands to the tools and to the fake, which must say and hold the same. */
async function fakeIsLikeTheTools(): Promise<void> {
  await wipe()
  const fake = createFakeIpvsHost()
  for (const { program, args, stdin } of TOOL_STEPS) {
    const real = await run({ argv: [program, ...args.split(' ')], stdin, timeoutMs: 60_000, accept: [0, 1, 2, 255] })
    const pretended = fake.run(program, args, stdin)
    const at = `${program} ${args} <<< ${JSON.stringify(stdin)}`
    expectEqual(`${at}: exit status`, `${real.exitCode}`, `${pretended.exitCode}`)
    expectEqual(`${at}: standard error`, real.stderr.split('\n')[0] ?? '', pretended.stderr.split('\n')[0] ?? '')
    const servers = (text: string) => printIpvsadmSave(parseIpvsadmSave(text).services)
    expectEqual(`${at}: ipvsadm -Sn`, servers(await shell('ipvsadm -Sn')), servers(fake.run('ipvsadm', '-Sn').stdout))
    const sets = (text: string) => printIpsetSave(parseIpsetSave(text).sets.values()).replaceAll(/hashsize \d+/g, '')
    expectEqual(`${at}: ipset save`, sets(await shell('ipset save')), sets(fake.run('ipset', 'save').stdout))
  }
}

async function measures(): Promise<Readonly<Record<string, number>>> {
  await wipe()
  const compiler = compilerOf('ipv4')
  const services = Array.from({ length: 1000 }, (_, index) => serviceEntry(index, endpointIps(index, 5)))
  const syncer = startSyncer('ipv4')
  const times: Record<string, number> = {}
  const measure = async (what: string, work: () => Promise<unknown>) => {
    processes.length = 0
    const started = performance.now()
    await work()
    times[`${what} (${processes.length} processes)`] = Math.round(performance.now() - started)
  }
  await measure('first sync, 1,000 Services x 5 endpoints', () => syncer.sync(compiler(snapshotOf(services)), NEVER))
  await measure('nothing changed', () => syncer.sync(compiler(snapshotOf(services)), NEVER))
  services[5] = serviceEntry(5, endpointIps(5, 4))
  await measure('an endpoint removed', () => syncer.sync(compiler(snapshotOf(services)), NEVER))
  clock.now += 60_000
  await measure('and ended', () => syncer.sync(compiler(snapshotOf(services)), NEVER))
  services.push(serviceEntry(5000, endpointIps(5000, 5)))
  await measure('a Service added', () => syncer.sync(compiler(snapshotOf(services)), NEVER))
  services.pop()
  await measure('a Service deleted', () => syncer.sync(compiler(snapshotOf(services)), NEVER))
  await measure('check', () => syncer.check(NEVER))
  await measure('read back', () => syncer.readBack(NEVER))
  await measure('restart', () => startSyncer('ipv4').sync(compiler(snapshotOf(services)), NEVER))
  return times
}

const TESTS: Readonly<Record<string, () => Promise<Readonly<Record<string, number>> | void>>> = {
  'the fake host says and does what ipvsadm and ipset do': fakeIsLikeTheTools,
  'what was damaged is found and repaired, and foreign parts stay': repairs,
  'a set grows beyond 65,536 entries while rules use it': growsSets,
  'a change costs few processes': measures,
}

/** Parts of names; all tests without any. */
const asked = process.argv.slice(2)
for (const [test, hold] of Object.entries(TESTS)) {
  if (asked.length > 0 && !asked.some((part) => test.includes(part))) continue
  let result: TestResult = { test }
  try {
    const times = await hold()
    if (times !== undefined) result = { test, times }
  } catch (error) {
    result = { test, failure: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) }
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
