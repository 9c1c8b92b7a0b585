// The pages on metricsBindAddress: for Prometheus, for kube-proxy's users, and for whoever hunts a fault. No authentication
// and no TLS, as with kube-proxy: it listens on the loopback address unless the configuration says otherwise.
//
// /metrics/slis does not exist here (404): its health check metrics would say nothing that /metrics does not.
import type { Clock } from '../kube/api/clock.ts'
import type { ProxyMode } from '../model/config.ts'
import { answerDebugRules, type DebugRules } from './debug-rules.ts'
import { type Answer, jsonReply, notFound, type PageRequest, type Reply, textReply } from './http-reply.ts'
import type { DaemonMetrics } from './metrics.ts'
import { answerProfile } from './profiling.ts'

export interface MetricsPages {
  readonly mode: ProxyMode
  readonly metrics: Pick<DaemonMetrics, 'print' | 'contentType'>
  /** See printConfigz. */
  readonly configz: string
  /** Texts of the pages; without one it is not there (feature gates ComponentFlagz and ComponentStatusz). */
  readonly flagz?: () => string
  readonly statusz?: () => string
  /** enableProfiling: /debug/pprof and /debug/flags/v. */
  readonly profiling: boolean
  /** For the length of a profile. */
  readonly clock: Clock
  /** For /debug/flags/v. */
  readonly setVerbosity: (level: number) => void
  /** Absent: switched off. */
  readonly debugRules?: DebugRules
}

const VERBOSITY_PATH = '/debug/flags/v'

export function answerMetricsPages(pages: MetricsPages): Answer {
  const fixed: ReadonlyMap<string, (request: PageRequest) => Reply | Promise<Reply>> = new Map([
    ['/metrics', () => printMetrics(pages.metrics)],
    ['/healthz', printHealthz],
    ['/healthz/ping', () => textReply(200, 'ok')],
    ['/proxyMode', () => textReply(200, pages.mode)],
    ['/configz', () => jsonReply(200, pages.configz)],
    ...optionalPages(pages),
  ])
  return (request) => {
    const page = fixed.get(request.path)
    if (page !== undefined) return page(request)
    const profile = request.path === '/debug/pprof' || request.path.startsWith('/debug/pprof/')
    return profile && pages.profiling ? answerProfile(request, pages.clock) : notFound()
  }
}

function optionalPages({ flagz, statusz, debugRules, profiling, setVerbosity }: MetricsPages) {
  const optional: [string, (request: PageRequest) => Reply | Promise<Reply>][] = []
  if (flagz !== undefined) optional.push(['/flagz', () => textReply(200, flagz())])
  if (statusz !== undefined) optional.push(['/statusz', () => textReply(200, statusz())])
  if (debugRules !== undefined) optional.push(['/debug/rules', (request) => answerDebugRules(request, debugRules)])
  if (profiling) optional.push([VERBOSITY_PATH, (request) => changeVerbosity(request, setVerbosity)])
  return optional
}

async function printMetrics(metrics: MetricsPages['metrics']): Promise<Reply> {
  return { status: 200, headers: [['Content-Type', metrics.contentType]], body: await metrics.print() }
}

function printHealthz({ query }: PageRequest): Reply {
  return textReply(200, query.has('verbose') ? '[+]ping ok\nhealthz check passed\n' : 'ok')
}

/** `curl -X PUT -d 4 .../debug/flags/v` */
async function changeVerbosity(
  { method, readBody }: PageRequest,
  setVerbosity: MetricsPages['setVerbosity'],
): Promise<Reply> {
  if (method !== 'PUT') return textReply(406, `use PUT with the new verbosity as the body\n`)
  const text = (await readBody(100)).trim()
  if (!/^\d{1,9}$/.test(text))
    return textReply(400, `${JSON.stringify(text)} is no verbosity: use a number from 0 to 10\n`)
  setVerbosity(Number(text))
  return textReply(200, `the verbosity is now ${text}\n`)
}
