// One random history of the IPVS syncer in a real kernel: what is desired changes, one command in ten fails, the helper
// process and the whole agent are killed in the middle of a sync, and other people are at work. In the end the kernel has
// what is desired, and what belongs to others is as they left it.
import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError } from '../../src/host/exec.ts'
import { type SupervisedHands, startHands } from '../../src/host/hands-client.ts'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import type { IpvsProgram } from '../../src/ipvs/program.ts'
import type { Family } from '../../src/model/address.ts'
import type { ServiceEntry } from '../../src/model/snapshot.ts'
import { createIpvsSyncer, type IpvsSyncer } from '../../src/sync/ipvs/syncer.ts'
import { here, plainNode, serviceEntry, snapshotOf } from '../support/many-services.ts'
import { CONFIG } from '../support/syncer-model.ts'
import { differences, foreignParts, makeForeignParts } from './ipvs-history-kernel.ts'

export interface History {
  readonly seed: number
  readonly family: Family
  readonly steps: number
}

const FAILING_SHARE = 0.1
const SERVICES = 12
const NEVER = new AbortController().signal
/** Rounds, each later than the last by more than any pause, in which everything must be as desired. */
const MOST_ROUNDS = 20

/** Throws with the seed and what is wrong. */
export async function runHistory({ seed, family, steps }: History): Promise<void> {
  const random = createRandom(seed)
  const clock = { skipped: 0 }
  const compile = createIpvsCompiler(CONFIG, plainNode(), family)
  let program = compile(snapshotOf([]))
  let agent = await startAgent(family, random, clock)
  const foreign = await makeForeignParts(agent.hands)
  const log: string[] = []
  const fail = (what: string) => {
    throw new Error(`seed ${seed}, ${family}: ${what}\n${log.slice(-12).join('\n')}`)
  }
  try {
    for (let step = 0; step < steps; step += 1) {
      clock.skipped += 700
      const chance = random()
      if (chance < 0.55) program = compile(snapshotOf(arbitraryServices(random, family)))
      const how = chance < 0.08 ? 'kill agent' : chance < 0.16 ? 'kill helper' : chance < 0.3 ? 'damage' : 'sync'
      log.push(`${step}: ${how}`)
      if (how === 'damage') await damage(agent.hands, random)
      const syncing = agent.syncer.sync(program, NEVER).then(
        ({ kind, lines }) => log.push(`  ${kind} ${lines}`),
        (error: unknown) => log.push(`  ${String(error).slice(0, 200)}`),
      )
      if (how === 'kill helper' || how === 'kill agent') await sleep(random() * 150)
      if (how === 'kill helper') kill(agent.hands.pid)
      if (how === 'kill agent') {
        await agent.hands.close()
        agent = await startAgent(family, random, clock)
      }
      await syncing
      if (random() < 0.2)
        await (random() < 0.5 ? agent.syncer.check(NEVER) : agent.syncer.readBack(NEVER)).catch(ignore)
    }
    agent.faults.share = 0
    agent.syncer.forget()
    await settle(agent.syncer, program, clock, log)
    const wrong = await differences(agent.hands, program)
    if (wrong !== '') fail(wrong)
    const left = await foreignParts(agent.hands)
    if (left !== foreign) fail(`foreign parts were\n${foreign}\nand are\n${left}`)
    const plan = await (await startAgent(family, () => 1, clock, agent.hands)).syncer.plan(program)
    if (plan !== '') fail(`a new agent would write\n${plan.slice(0, 1_000)}`)
  } finally {
    await agent.hands.close()
  }
}

interface Agent {
  readonly hands: SupervisedHands
  readonly syncer: IpvsSyncer
  readonly faults: { share: number }
}

async function startAgent(
  family: Family,
  random: () => number,
  clock: { readonly skipped: number },
  running?: SupervisedHands,
): Promise<Agent> {
  const hands = running ?? (await startHands())
  const faults = { share: FAILING_SHARE }
  const syncer = createIpvsSyncer({
    hands: failing(hands, faults, random),
    family,
    variant: 'legacy',
    now: () => performance.now() + clock.skipped,
    device: 'kube-ipvs0',
    termination: { boundMs: 3_000 },
  })
  return { hands, syncer, faults }
}

/** Fails before a command, after it, or in the middle of its input. */
function failing(hands: SupervisedHands, faults: { readonly share: number }, random: () => number): SupervisedHands {
  return {
    ...hands,
    get pid() {
      return hands.pid
    },
    run: async (command) => {
      if (random() >= faults.share) return hands.run(command)
      const { argv, stdin } = command
      const way = random()
      if (way < 0.3 && typeof stdin === 'string') {
        const half = stdin.slice(0, stdin.lastIndexOf('\n', stdin.length / 2) + 1)
        await hands.run({ ...command, stdin: half }).catch(ignore)
      } else if (way < 0.6) await hands.run(command).catch(ignore)
      if (way < 0.8) throw new CommandError(argv, { kind: 'exit', exitCode: 1 }, 'this was made to fail')
      throw new CommandError(argv, { kind: 'timeout', milliseconds: 1 }, '')
    },
    changeDeviceAddresses: async (device, change) => {
      if (random() < faults.share) throw new Error('this was made to fail')
      await hands.changeDeviceAddresses(device, change)
      if (random() < faults.share) throw new Error('this was made to fail afterwards')
    },
  }
}

/** Until nothing is wanted any more. */
async function settle(syncer: IpvsSyncer, program: IpvsProgram, clock: { skipped: number }, log: string[]) {
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    clock.skipped += 100_000
    try {
      const { isolated, retryInMs, lines } = await syncer.sync(program, NEVER)
      log.push(`settling: ${lines} lines, isolated ${isolated.join()}, again in ${retryInMs}`)
      if (isolated.length === 0 && retryInMs === undefined) return
    } catch (error) {
      log.push(`settling: ${String(error).slice(0, 300)}`)
    }
  }
  throw new Error(`it does not settle\n${log.slice(-12).join('\n')}`)
}

function arbitraryServices(random: () => number, family: Family): readonly ServiceEntry[] {
  const pick = (most: number) => Math.floor(random() * most)
  const ip = (subnet: number, host: number) =>
    family === 'ipv4' ? `10.${subnet}.0.${host}` : `fd00:${subnet}::${host.toString(16)}`
  const entries: ServiceEntry[] = []
  for (let index = 0; index < SERVICES; index += 1) {
    if (random() < 0.4) continue
    const endpoints = Array.from({ length: pick(5) }, (_, number) => ip(100 + index, 1 + pick(3) * 10 + number))
    const protocol = (['tcp', 'tcp', 'udp'] as const)[index % 3] ?? 'tcp'
    const hasNodePort = random() < 0.3
    const entry = serviceEntry(index, endpoints, family, {
      ports: [{ name: 'p', protocol, port: 80, ...(hasNodePort && { nodePort: 30_000 + index }) }],
      type: hasNodePort ? 'NodePort' : 'ClusterIP',
      externalIPs: random() < 0.3 ? [ip(200, 1 + pick(4)) as never] : [],
      ...(random() < 0.2 && { affinitySeconds: 300 }),
      ...(random() < 0.2 && { externalTrafficPolicy: 'Local' as const }),
    })
    entries.push(random() < 0.5 ? here(entry) : entry)
  }
  return entries
}

/** What people do to sluice's parts. Nothing of it makes a virtual server that can't be told from a stranger's. */
const DAMAGE = [
  "ipvsadm -Sn | grep -e '-A -[tu] 172' | head -n 2 | sed 's/^-A \\(.*\\) -s .*/-D \\1/' | ipvsadm -R",
  "ipvsadm -Sn | grep -e '-a -[tu] 172' | head -n 1 | sed 's/^-a \\(.*\\) -m .*/-d \\1/' | ipvsadm -R",
  "ipvsadm -Sn | grep -e '-a -[tu] 172' | tail -n 1 | sed 's/^-a \\(.*\\) -m .*/-e \\1 -m -w 0/' | ipvsadm -R",
  'ipset add KUBE-CLUSTER-IP 10.99.0.1,tcp:99 -exist',
  'ipset flush KUBE-LOOP-BACK',
  'ip link delete kube-ipvs0',
  'iptables-legacy -t nat -F KUBE-SERVICES',
  'iptables-legacy -t filter -F INPUT; iptables-legacy -A INPUT -m comment --comment foreign -j ACCEPT',
]

async function damage(hands: SupervisedHands, random: () => number): Promise<void> {
  const line = DAMAGE[Math.floor(random() * DAMAGE.length)] ?? 'true'
  await hands.run({ argv: ['sh', '-c', `${line} 2>/dev/null; true`], timeoutMs: 60_000 }).catch(ignore)
}

function kill(pid: number | undefined): void {
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
}

function ignore(): void {
  // What failed is found by the next sync.
}

/** mulberry32: numbers from 0 to 1, the same for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
