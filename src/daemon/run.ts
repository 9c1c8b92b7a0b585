// `sluice run`: watches, compiles, and keeps the kernel's rules right until it is told to end. The order of the steps at
// the start is kube-proxy's.
import { hostname } from 'node:os'
import { onFileWritten } from '../host/file-watch.ts'
import type { Hands } from '../host/hands.ts'
import { startHands } from '../host/hands-client.ts'
import { growHeapSlowly } from '../host/heap.ts'
import { readToolFeatures } from '../host/live-host.ts'
import { applySysctls, countCpus, readSysctls } from '../host/sysctl-files.ts'
import { settingsFor } from '../iptables/settings.ts'
import { SYSTEM_CLOCK } from '../kube/api/clock.ts'
import type { Host } from '../model/host.ts'
import type { Node, Snapshot } from '../model/snapshot.ts'
import { describeNode } from '../resolve/node-facts.ts'
import { CONNTRACK_MAX, planSysctls, SYSCTL_PATHS, type SysctlValues } from '../sync/sysctl.ts'
import type { IptablesVariant, VariantDecision } from '../sync/variant.ts'
import { openClusterSource, type Source, type SourceOptions } from './cluster-source.ts'
import { type Daemon, DaemonFailure } from './daemon.ts'
import { openDirectorySource } from './directory-source.ts'
import type { FamilySync } from './family.ts'
import { checkIpvs, prepareIpvs } from './ipvs-preflight.ts'
import { findVariant } from './kernel-facts.ts'
import { createMetrics } from './metrics.ts'
import { type NodeTracker, trackNode } from './node-tracker.ts'
import type { DaemonOptions } from './options.ts'
import { healthTimeout } from './proxy-health.ts'
import { createProxyHealth, type ProxyHealth } from './proxy-health-server.ts'
import { startFamilies } from './start-families.ts'

const clock = SYSTEM_CLOCK
const CLOSE_WITHIN_MS = 5_000
const MODPROBE_TIMEOUT_MS = 10_000

/** Resolves when the daemon has ended in good order. @throws what makes it end otherwise. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  growHeapSlowly()
  const { config, log } = options
  const nodeName = config.hostnameOverride === '' ? hostname().trim().toLowerCase() : config.hostnameOverride
  const ending = new AbortController()
  const signal = AbortSignal.any([options.signal, ending.signal])
  const failed = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      if (!options.signal.aborted && ending.signal.reason instanceof Error) reject(ending.signal.reason)
    })
  })
  failed.catch(() => {})
  const hands = await startHands({
    onRestart: (gone, pauseMs) => {
      metrics.helperRestarted()
      log.warn('the helper process ended and is started again', { error: gone, pauseMs })
    },
  })
  const metrics = createMetrics({
    version: options.version,
    now: () => clock.wall() / 1000,
    readCounters: (names) => hands.readCounters(names),
  })
  const closers: (() => unknown)[] = [() => hands.close()]
  try {
    await Promise.race([
      serve({ options, nodeName, hands, metrics, signal, closers, fail: (error) => ending.abort(error) }),
      failed,
    ])
  } finally {
    ending.abort()
    await closeAll(closers)
  }
}

/** The last opened is closed first. What does not close in time is left to the end of the process. */
async function closeAll(closers: readonly (() => unknown)[]): Promise<void> {
  let cancel = () => {}
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(CLOSE_WITHIN_MS, resolve)
  })
  const closed = closers.reduceRight<Promise<unknown>>((before, close) => before.then(close, close), Promise.resolve())
  await Promise.race([closed, late])
  cancel()
}

/** Resolves when the signal is aborted, or the task is done. */
async function serve(daemon: Daemon): Promise<void> {
  const { options, nodeName, metrics, signal, closers } = daemon
  const { config, log, task } = options
  endWhenWritten(daemon)
  const { variant, because } = await needVariant(daemon)
  metrics.variantChosen(variant)
  log.info('using iptables', { variant, because })

  const health = createProxyHealth({
    clock,
    timeoutMs: healthTimeout(config.syncPeriod),
    onAnswer: metrics.healthAnswered,
  })
  const audience: Audience = { families: [], waiting: [] }
  const source = openSource(daemon, health, audience)
  closers.push(() => source.close())
  log.info('waiting for the Node', { node: nodeName, source: source.name })
  const probed = probeHost(daemon)
  // Awaited below, once the Node is there.
  probed.catch(() => {})
  const node = await source.firstNode()
  if (signal.aborted) return
  const host = await probed
  await prepareHost(daemon, node, host, variant)
  if (task === 'init-only') return

  const tracker = followNode(daemon, node, host, audience)
  audience.tracker = tracker
  const started = await startFamilies({ ...daemon, source, health, variant, facts: tracker.facts() })
  const { families } = started
  audience.families = families
  const { latest, waiting } = audience
  if (latest !== undefined) for (const family of families) family.setSnapshot(latest, waiting)
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  await (task === 'once' ? Promise.race([started.allSynced, ended]) : ended)
}

/** As kube-proxy does: whoever supervises the daemon starts it again, with the new configuration. */
function endWhenWritten({ options, closers, fail }: Daemon): void {
  const { configPath } = options
  if (configPath === undefined) return
  const written = () => fail(new DaemonFailure(`${configPath} was written: ending, to be started with its new content`))
  closers.push(onFileWritten(configPath, written))
}

/** Who hears what the source tells, as they come to be, and what was told before. */
interface Audience {
  tracker?: NodeTracker
  families: readonly FamilySync[]
  latest?: Snapshot
  /** When the causes of changes before there were families happened, in milliseconds since 1970. */
  readonly waiting: number[]
}

function openSource(daemon: Daemon, health: ProxyHealth, audience: Audience): Source {
  const { options, nodeName, metrics, signal } = daemon
  const { config, log, source } = options
  const common: SourceOptions = {
    config,
    nodeName,
    clock,
    log,
    metrics,
    signal,
    onSnapshot: (snapshot, times) => {
      audience.latest = snapshot
      if (audience.families.length === 0) audience.waiting.push(...times)
      for (const family of audience.families) family.setSnapshot(snapshot, times)
    },
    onNode: (node) => {
      health.nodeChanged(node)
      audience.tracker?.nodeChanged(node)
    },
  }
  if (source.kind === 'directory') return openDirectorySource({ ...common, paths: source.paths })
  return openClusterSource({ ...common, ...(source.master !== undefined && { master: source.master }) })
}

/** Tells the families what the Node and the machine's addresses are, whenever these change. */
function followNode(daemon: Daemon, node: Node | undefined, host: Host, audience: Audience): NodeTracker {
  const { options, nodeName, hands, signal, fail } = daemon
  const { config, log } = options
  const tracker = trackNode({
    nodeName,
    node,
    host,
    config,
    log,
    onChange: (facts) => {
      for (const family of audience.families) family.setNode(facts)
    },
    onFatal: fail,
  })
  hands.onAddressChange(() => {
    hands.listAddresses().then(tracker.addressesChanged, (error: unknown) => {
      if (!signal.aborted) log.warn('the addresses of this machine could not be read', { error })
    })
  })
  return tracker
}

async function needVariant({ options, hands }: Daemon): Promise<VariantDecision> {
  const decision = await findVariant(hands, options.variant)
  if (decision !== undefined) return decision
  const name = options.variant === undefined ? 'iptables' : `iptables-${options.variant}`
  throw new DaemonFailure(`there is no ${name} on this machine: install it (Debian: apt-get install iptables)`)
}

/** Reads what rules need to know about the machine. */
async function probeHost({ options, hands }: Daemon): Promise<Host> {
  const [{ features, issues }, addresses] = await Promise.all([
    readToolFeatures((command) => hands.run(command)),
    hands.listAddresses(),
  ])
  for (const { message } of issues) options.log.verbose(1, message)
  // Counters are made when they are needed, and rules that name them are left out where that fails.
  return { addresses, features: { ...features, nfacct: true } }
}

/** Writes the sysctls that the configuration asks for. */
async function prepareHost(
  { options, hands, nodeName }: Daemon,
  node: Node | undefined,
  host: Host,
  variant: IptablesVariant,
): Promise<void> {
  const { config, log } = options
  const { facts } = describeNode(nodeName, node, config, host)
  const isIpvs = config.mode === 'ipvs'
  const isDryRun = options.printPlan !== undefined
  if (isIpvs) await checkIpvs(hands, { scheduler: config.ipvs.scheduler, variant, isDryRun })
  const localhostNodePorts = !isIpvs && settingsFor(config, facts, 'ipv4').localhostNodePorts
  const needs = { conntrack: config.conntrack, cpus: await countCpus(), localhostNodePorts }
  const steps = planSysctls(needs, await readConntrackSysctls(hands))
  for (const { path, value, why } of steps) log.info('kernel setting', { path, value, why })
  if (!isDryRun) await applySysctls(steps)
  if (isIpvs) await prepareIpvs(hands, config.ipvs, { log, isDryRun })
}

/** Where nothing has used connection tracking yet its settings are not there: then its module is asked for. */
async function readConntrackSysctls(hands: Pick<Hands, 'run'>): Promise<SysctlValues> {
  const values = await readSysctls(SYSCTL_PATHS)
  if (values.has(CONNTRACK_MAX)) return values
  // Without modprobe, as in most containers, writing fails with a message that names the setting.
  await hands.run({ argv: ['modprobe', 'nf_conntrack'], timeoutMs: MODPROBE_TIMEOUT_MS }).catch(() => {})
  return readSysctls(SYSCTL_PATHS)
}
