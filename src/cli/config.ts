// The configuration that a command works with: --config or kube-proxy's flags.
import { findSchedulerProblem } from '../ipvs/schedulers.ts'
import { findProxyFlag, spellFlag } from '../kube/config/proxy-flag-table.ts'
import { type GivenFlags, resolveProxyConfig } from '../kube/config/proxy-flags.ts'
import type { ProxyConfig, ProxyMode } from '../model/config.ts'
import { formatIssue, type Issue } from '../model/issue.ts'
import { Failure } from './failure.ts'
import { readText } from './read-text.ts'
import { listNames } from './words.ts'

const SERVED_MODES: readonly ProxyMode[] = ['iptables', 'ipvs']

export interface ReadConfig {
  readonly config: ProxyConfig
  readonly issues: readonly Issue[]
  /** What was assumed, in words. */
  readonly assumptions: readonly string[]
}

/**
 * `mode` goes over the one of the file.
 * @throws Failure when the configuration is invalid, or asks for a mode that is not served.
 */
export function readConfig(path: string | undefined, flags: GivenFlags, mode?: ProxyMode): ReadConfig {
  const other = flags.get('proxy-mode')
  if (mode !== undefined && other !== undefined && other !== mode) {
    throw new Failure(`--mode ${mode} and --proxy-mode ${String(other)} exclude each other: give one of them`)
  }
  const file = path === undefined ? {} : { configText: readText(path, '--config'), configSource: path }
  const over: GivenFlags = new Map(mode === undefined ? [] : [['proxy-mode', mode]])
  const { config, issues } = resolveProxyConfig({ ...file, flags, over })
  if (config === undefined) throw new Failure(issues.map(formatIssue).join('\n'), issues)
  checkMode(config.mode, issues, mode === undefined ? path : undefined)
  if (config.mode === 'ipvs')
    checkScheduler(config.ipvs.scheduler, issues, flags.has('ipvs-scheduler') ? undefined : path)
  const assumptions =
    path === undefined && flags.size === 0
      ? ["configuration: kube-proxy's defaults, without a pod network (--config FILE or its flags for another)"]
      : []
  return { config, issues: [...issues, ...findWithoutBearing(flags, issues)], assumptions }
}

/** `path` is where the mode was set, if that was a file; `issues` may tell why it is this one. */
function checkMode(mode: ProxyMode, issues: readonly Issue[], path: string | undefined): void {
  if (SERVED_MODES.includes(mode)) return
  const [first = mode] = SERVED_MODES
  const advice = path === undefined ? `use --mode ${first}` : `write mode: ${first} there, or give --mode ${first}`
  const message = `mode ${mode} is valid for kube-proxy and not served by sluice, which serves ${listNames(SERVED_MODES)}: ${advice}`
  const at = { source: path ?? 'command line', field: path === undefined ? '--mode' : 'mode' }
  const issue: Issue = { severity: 'error', at, message }
  throw new Failure(formatIssue(issue), [...issues, issue])
}

/** The kernel would refuse it, and so would everything that prints it. */
function checkScheduler(scheduler: string, issues: readonly Issue[], path: string | undefined): void {
  const message = findSchedulerProblem(scheduler)
  if (message === undefined) return
  const field = path === undefined ? '--ipvs-scheduler' : 'ipvs.scheduler'
  const issue: Issue = { severity: 'error', at: { source: path ?? 'command line', field }, message }
  throw new Failure(formatIssue(issue), [...issues, issue])
}

/** Flags that are not mentioned otherwise, and that no rule depends on. */
function findWithoutBearing(flags: GivenFlags, issues: readonly Issue[]): readonly Issue[] {
  const mentioned = new Set(issues.map(({ at }) => at.field))
  return [...flags.keys()].flatMap((name): readonly Issue[] => {
    const flag = findProxyFlag(name)
    if (flag === undefined || flag.bearsOnRules || mentioned.has(spellFlag(flag))) return []
    const at = { source: 'command line', field: spellFlag(flag) }
    return [{ severity: 'notice', at, message: 'has no bearing on rules, and was ignored' }]
  })
}
