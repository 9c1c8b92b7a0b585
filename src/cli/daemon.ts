// `sluice run`: the node agent, from its command line to its exit code.
import { writeFileSync } from 'node:fs'
import { cleanUp } from '../daemon/clean-up.ts'
import { printConfigYaml } from '../daemon/config-document.ts'
import { DaemonFailure } from '../daemon/daemon.ts'
import { createLog, type Log, standardErrorWriter } from '../daemon/log.ts'
import type { DaemonOptions, DaemonSource } from '../daemon/options.ts'
import { runDaemon } from '../daemon/run.ts'
import { startHands } from '../host/hands-client.ts'
import { findSchedulerProblem } from '../ipvs/schedulers.ts'
import { SYSTEM_CLOCK } from '../kube/api/clock.ts'
import { ClusterError } from '../kube/api/cluster-error.ts'
import { formatConfigProblems } from '../kube/config/proxy-config-problem.ts'
import { type GivenFlags, resolveProxyConfig } from '../kube/config/proxy-flags.ts'
import { findSettingsWithoutEffect } from '../kube/config/without-effect.ts'
import type { ProxyConfig } from '../model/config.ts'
import { formatIssue, type Issue } from '../model/issue.ts'
import type { IptablesVariant } from '../sync/variant.ts'
import { EXIT, Failure } from './failure.ts'
import { readText } from './read-text.ts'
import type { Streams } from './streams.ts'

export interface RunOptions {
  readonly filename: readonly string[]
  readonly iptablesVariant: 'auto' | IptablesVariant
  readonly once?: true
  readonly dryRun?: true
  readonly debugRules?: true
  /** Seconds. */
  readonly driftInterval: number
  /** Percent of a core. */
  readonly driftShare: number
  /** Seconds. */
  readonly readBackInterval: number
  /** Seconds; without it an endpoint may take as long as it likes. */
  readonly endpointDrainLimit?: number
  /** Seconds. */
  readonly endpointDrainInterval: number
  /** Seconds. */
  readonly modeDrainLimit: number
  /** kube-proxy's own, all of them. */
  readonly proxyFlags: GivenFlags
}

/** kube-proxy ends with 1 whatever went wrong. */
const EXIT_FAILED = 1

/** Returns the exit code, when the daemon has ended. */
export async function runNode(options: RunOptions, version: string, streams: Streams): Promise<number> {
  const { proxyFlags } = options
  const configPath = textOf(proxyFlags, 'config')
  const decoded = resolveProxyConfig({
    ...(configPath !== undefined && { configText: readText(configPath, '--config'), configSource: configPath }),
    flags: proxyFlags,
  })
  const { config, effective, issues } = decoded
  if (config === undefined || effective === undefined) throw new Failure(describeInvalid(decoded), issues)
  if (config.mode === 'nftables') {
    throw new Failure('mode nftables is valid for kube-proxy and not served by sluice: use mode iptables or ipvs')
  }
  const schedulerProblem = config.mode === 'ipvs' ? findSchedulerProblem(config.ipvs.scheduler) : undefined
  if (schedulerProblem !== undefined) throw new Failure(`ipvs.scheduler: ${schedulerProblem}`)
  const log = createDaemonLog(config, proxyFlags, streams)
  for (const issue of issues) log.warn(formatIssue(issue))
  for (const { setting, why } of findSettingsWithoutEffect(effective.document, new Set(proxyFlags.keys()))) {
    log.info('a setting has no effect', { setting, why })
  }
  const writeTo = textOf(proxyFlags, 'write-config-to')
  if (writeTo !== undefined) {
    writeFileSync(writeTo, printConfigYaml(effective))
    log.info('the configuration was written', { path: writeTo })
    return EXIT.ok
  }
  if (isOn(proxyFlags, 'cleanup')) return cleanNode(config, log)

  return serve(daemonOptions(options, version, streams, { config, effective, log }))
}

/** Runs the agent until it is told to end, or fails. */
async function serve(daemon: Omit<DaemonOptions, 'signal'>): Promise<number> {
  const { log } = daemon
  const ended = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      log.info('ending; the rules stay', { signal: name })
      ended.abort()
    })
  }
  try {
    await runDaemon({ ...daemon, signal: ended.signal })
    return EXIT.ok
  } catch (error) {
    if (ended.signal.aborted) return EXIT.ok
    log.error(describeEnd(error), error instanceof Error && isBug(error) ? { stack: error.stack } : {})
    return EXIT_FAILED
  }
}

/** Seconds become milliseconds, and percents shares. @throws Failure when sources exclude each other. */
function daemonOptions(
  options: RunOptions,
  version: string,
  { stdout }: Streams,
  known: Pick<DaemonOptions, 'config' | 'effective' | 'log'>,
): Omit<DaemonOptions, 'signal'> {
  const { proxyFlags } = options
  const configPath = textOf(proxyFlags, 'config')
  return {
    ...known,
    version,
    flags: new Map([...proxyFlags].map(([name, value]) => [name, String(value)])),
    source: sourceOf(options),
    ...(configPath !== undefined && { configPath }),
    ...(options.iptablesVariant !== 'auto' && { variant: options.iptablesVariant }),
    task: isOn(proxyFlags, 'init-only') ? 'init-only' : options.once === true ? 'once' : 'serve',
    drift: {
      probeMs: options.driftInterval * 1000,
      probeShare: options.driftShare / 100,
      readBackMs: options.readBackInterval * 1000,
    },
    termination: {
      pollMs: options.endpointDrainInterval * 1000,
      ...(options.endpointDrainLimit !== undefined && { boundMs: options.endpointDrainLimit * 1000 }),
    },
    modeDrainMs: options.modeDrainLimit * 1000,
    debugRules: options.debugRules === true,
    ...(options.dryRun === true && { printPlan: (text: string) => void stdout.write(text) }),
  }
}

async function cleanNode({ ipvs }: ProxyConfig, log: Log): Promise<number> {
  const hands = await startHands()
  try {
    return (await cleanUp(hands, log, ipvs.excludeCIDRs)) ? EXIT.ok : EXIT_FAILED
  } finally {
    await hands.close()
  }
}

function sourceOf({ filename, proxyFlags }: RunOptions): DaemonSource {
  const master = textOf(proxyFlags, 'master')
  if (filename.length === 0) return { kind: 'cluster', ...(master !== undefined && { master }) }
  if (master !== undefined || proxyFlags.has('kubeconfig')) {
    throw new Failure('-f and --kubeconfig or --master exclude each other: watch files or a cluster')
  }
  return { kind: 'directory', paths: filename }
}

function createDaemonLog({ logging }: ProxyConfig, flags: GivenFlags, { stderr }: Streams): Log {
  return createLog({
    format: logging.format === 'json' ? 'json' : flags.has('logging-format') ? 'text' : 'auto',
    terminal: stderr.isTTY === true,
    verbosity: logging.verbosity,
    now: SYSTEM_CLOCK.wall,
    pid: process.pid,
    write: standardErrorWriter(),
  })
}

/** kube-proxy's own wording for what it would have refused. */
function describeInvalid({
  issues,
  problems,
}: {
  issues: readonly Issue[]
  problems?: Parameters<typeof formatConfigProblems>[0]
}): string {
  const ours = issues.map(formatIssue).join('\n')
  return problems === undefined || problems.length === 0
    ? ours
    : `${ours}\nfailed validate: ${formatConfigProblems(problems)}`
}

function isBug(error: Error): boolean {
  return !(error instanceof DaemonFailure) && !(error instanceof ClusterError)
}

function describeEnd(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function textOf(flags: GivenFlags, name: string): string | undefined {
  const value = flags.get(name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isOn(flags: GivenFlags, name: string): boolean {
  const value = flags.get(name)
  return value === true || value === 'true'
}
