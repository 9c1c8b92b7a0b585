// Starts what runs once the node is known: one sync loop per IP family, the health check node ports, and the listeners.
import type { Hands } from '../host/hands.ts'
import { writeOomScore } from '../host/sysctl-files.ts'
import { SYSTEM_CLOCK } from '../kube/api/clock.ts'
import type { Family } from '../model/address.ts'
import type { NodeFacts } from '../model/node.ts'
import type { StrangerSources } from '../sync/drift-look.ts'
import { createGenerations } from '../sync/generations.ts'
import type { IptablesVariant } from '../sync/variant.ts'
import { cleanNftables } from './clean-up.ts'
import type { Source } from './cluster-source.ts'
import { type Daemon, DaemonFailure } from './daemon.ts'
import { createEvents, type Events } from './events.ts'
import { type FamilyOptions, type FamilySync, startFamily } from './family.ts'
import { IPTABLES_MODE } from './iptables-mode.ts'
import { drainLeftovers } from './ipvs-leftovers.ts'
import { createIpvsMode } from './ipvs-mode.ts'
import { findFamilies } from './kernel-facts.ts'
import type { ProxyHealth } from './proxy-health-server.ts'
import { startServers } from './servers.ts'
import { createHealthCheckFinder, healthCheckAddresses } from './service-health.ts'
import { createServiceHealthServer } from './service-health-server.ts'
import { showRules } from './show-rules.ts'

export interface FamiliesOptions extends Daemon {
  readonly source: Source
  readonly health: ProxyHealth
  readonly variant: IptablesVariant
  readonly facts: NodeFacts
}

export interface StartedFamilies {
  readonly families: readonly FamilySync[]
  /** Resolves when each family has synced once. */
  readonly allSynced: Promise<unknown>
}

const clock = SYSTEM_CLOCK
const IPVS_DEPRECATION =
  'Kubernetes deprecates mode ipvs of kube-proxy, may remove it, and recommends nftables; sluice serves ipvs and iptables'

export async function startFamilies(daemon: FamiliesOptions): Promise<StartedFamilies> {
  const { options, hands, variant, facts, closers } = daemon
  const { log, config } = options
  const supported = await findFamilies(hands, variant)
  if (!supported.includes(facts.primaryFamily)) {
    const message = `rules of ${facts.primaryFamily}, the family of this node's address, can't be programmed here`
    throw new DaemonFailure(`${message}: is its kernel module missing, or does sluice lack the capability NET_ADMIN?`)
  }
  log.info('serving', { families: supported.join(', '), node: facts.name })
  const isDryRun = options.printPlan !== undefined
  if (!isDryRun) {
    await cleanNftables(hands, log).catch((error: unknown) => log.verbose(1, 'nftables was not looked at', { error }))
    await writeOomScore(config.oomScoreAdj)
  }
  const events = createDaemonEvents(daemon)
  closers.push(() => events.flush())
  const strangers = variant === 'nft' ? watchStrangers(hands) : undefined
  const started = supported.map((family) => startOne(daemon, family, { events, ...(strangers && { strangers }) }))
  const families = started.map(({ family }) => family)
  const allSynced = Promise.all(started.map(({ synced }) => synced))
  if (!isDryRun) {
    const debugRules = showRules(() => families)
    const listeners = startServers({ ...daemon, clock, events, debugRules, onFatal: daemon.fail })
    for (const listener of listeners) closers.push(() => listener.close())
    events.starting()
    if (config.mode === 'ipvs') {
      log.warn(IPVS_DEPRECATION)
      events.ipvsDeprecated(IPVS_DEPRECATION)
    } else void drainIpvs(daemon, allSynced)
  }
  return { families, allSynced }
}

/** New connections go through the rules from the first sync on. */
async function drainIpvs({ options, hands, signal }: FamiliesOptions, synced: Promise<unknown>): Promise<void> {
  const { log, config, modeDrainMs: boundMs } = options
  await synced
  await drainLeftovers({ hands, clock, log, excludeCIDRs: config.ipvs.excludeCIDRs, boundMs, signal })
}

function startOne(
  daemon: FamiliesOptions,
  family: Family,
  { events, strangers }: { readonly events: Events; readonly strangers?: StrangerSources },
): { family: FamilySync; synced: Promise<void> } {
  const { options, hands, metrics, health, variant, facts, signal, closers } = daemon
  const { config, log } = options
  const findHealthChecks = createHealthCheckFinder(family, facts.name)
  const serviceHealth = createServiceHealthServer({
    family,
    addresses: healthCheckAddresses(config, facts, family),
    ...(config.healthzBindAddress !== '' && { isHealthy: health.isHealthy }),
    log,
    onFailure: events.serviceHealthCheckFailed,
  })
  closers.push(() => serviceHealth.close())
  health.updated(family)
  let tellSynced = () => {}
  const synced = new Promise<void>((resolve) => {
    tellSynced = resolve
  })
  const familyOptions: FamilyOptions = {
    family,
    config,
    variant,
    hands,
    ...(strangers && { strangers }),
    clock,
    log,
    metrics,
    drift: options.drift,
    signal,
    ...(options.printPlan !== undefined && { printPlan: options.printPlan }),
    onQueued: () => health.queued(family),
    onSynced: (snapshot) => {
      health.updated(family)
      if (options.printPlan === undefined) void serviceHealth.sync(findHealthChecks(snapshot.services))
      tellSynced()
    },
  }
  const sync =
    config.mode === 'ipvs'
      ? startFamily(familyOptions, createIpvsMode(options.termination))
      : startFamily(familyOptions, IPTABLES_MODE)
  closers.push(() => sync.stop())
  sync.setNode(facts)
  return { family: sync, synced }
}

function watchStrangers(hands: Hands): StrangerSources {
  return {
    generations: createGenerations(() => hands.readGeneration()),
    fingerprint: (ofFamily) => hands.fingerprintChains(ofFamily),
  }
}

function createDaemonEvents({ options, nodeName, source }: FamiliesOptions): Events {
  const { log } = options
  const { post } = source
  if (post !== undefined) return createEvents({ nodeName, post, clock, log })
  return createEvents({ nodeName, post: () => Promise.resolve(), clock, log })
}
