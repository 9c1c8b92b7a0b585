// The daemon's listeners: proxy health, metrics and other pages, and the health check node ports of Services.

import type { Clock } from '../kube/api/clock.ts'
import { printConfigz } from './config-document.ts'
import type { DebugRules } from './debug-rules.ts'
import type { Events } from './events.ts'
import { keepListening, type Listener } from './http-listener.ts'
import { formatRfc3339, readInstant, zoneOffset } from './instant.ts'
import type { DaemonMetrics } from './metrics.ts'
import { answerMetricsPages } from './metrics-server.ts'
import type { DaemonOptions } from './options.ts'
import { readProcessUsage } from './process-usage.ts'
import type { ProxyHealth } from './proxy-health-server.ts'
import { printFlags, printStatus } from './status-pages.ts'

export interface ServersOptions {
  readonly options: DaemonOptions
  readonly nodeName: string
  readonly clock: Clock
  readonly health: ProxyHealth
  readonly metrics: DaemonMetrics
  readonly events: Events
  readonly debugRules: DebugRules
  /** A listener failed that must not: the daemon ends. */
  readonly onFatal: (error: Error) => void
}

const EMULATED = '1.36.2'
const PATHS = ['/configz', '/flagz', '/healthz', '/metrics', '/proxyMode', '/statusz']

/** Starts to listen where the configuration says, and nowhere else. */
export function startServers(servers: ServersOptions): readonly Listener[] {
  const { options, clock, health, metrics, events } = servers
  const { config, log } = options
  const started = readInstant(clock)
  const statusz = () =>
    printStatus({
      version: options.version,
      emulates: EMULATED,
      runtime: `Node ${process.versions.node}`,
      mode: config.mode,
      nodeName: servers.nodeName,
      started: formatRfc3339(started.wall, zoneOffset(started.wall)),
      upSeconds: (clock.now() - started.steady) / 1000,
      usage: readProcessUsage(),
      paths: PATHS,
    })
  const listen = (
    name: string,
    address: string,
    answer: Parameters<typeof keepListening>[0]['answer'],
    failed: (error: Error) => void,
  ) =>
    keepListening({
      name,
      address,
      answer,
      log,
      clock,
      ...(config.bindAddressHardFail && {
        onFatal: (error: Error) => {
          failed(error)
          servers.onFatal(error)
        },
      }),
    })
  const pages = answerMetricsPages({
    mode: config.mode,
    metrics,
    configz: printConfigz(options.effective),
    flagz: () => printFlags(options.flags),
    statusz,
    profiling: config.enableProfiling,
    clock,
    setVerbosity: log.setVerbosity,
    ...(options.debugRules && { debugRules: servers.debugRules }),
  })
  return [
    listen('health server', config.healthzBindAddress, health.answer, events.healthServerFailed),
    listen('metrics server', config.metricsBindAddress, pages, events.metricsServerFailed),
  ]
}
