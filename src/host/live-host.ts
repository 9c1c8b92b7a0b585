// The facts of the machine this runs on, for `--host live` and for the daemon. What can't be found out is assumed, and
// each assumption is a notice, so that nobody mistakes a guess for a fact.
import { readFile } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { type Ip, parseIp } from '../model/address.ts'
import { ASSUMED_FEATURES, type Host, type HostFeatures } from '../model/host.ts'
import type { Issue } from '../model/issue.ts'
import { CommandError, type CommandResult, runCommand } from './exec.ts'
import { loadNetlink, type Netlink, probeCounters, readAddresses } from './netlink.ts'

export interface LiveHost {
  readonly host: Host & { readonly nodeName: string }
  /** Notices: what could not be probed, why, and what was assumed. */
  readonly issues: readonly Issue[]
}

interface Probed<T> {
  readonly value: T
  readonly issues: readonly Issue[]
}

const TCP_BE_LIBERAL = '/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal'
const IPTABLES_TIMEOUT_MS = 10_000
/** First iptables whose MASQUERADE knows --random-fully. */
const RANDOM_FULLY_SINCE = [1, 6, 2]

/** Runs a tool; rejects with CommandError when it fails. */
export type RunTool = (command: {
  readonly argv: readonly [string, ...string[]]
  readonly timeoutMs: number
}) => Promise<CommandResult>

const RUN_HERE: RunTool = ({ argv, timeoutMs }) => runCommand(argv, { timeoutMs })

/** Reads this machine. Never throws for a fact that can't be found out. */
export async function readLiveHost(load: () => Promise<Netlink> = loadNetlink): Promise<LiveHost> {
  const netlink = await load().catch(firstLine)
  const [addresses, nfacct, randomFully, tcpBeLiberal] = await Promise.all([
    probeAddresses(netlink),
    probeNfacct(netlink),
    probeRandomFully(RUN_HERE),
    probeTcpBeLiberal(),
  ])
  return {
    host: {
      nodeName: hostname().trim().toLowerCase(),
      addresses: [...new Set(addresses.value)],
      features: { nfacct: nfacct.value, randomFully: randomFully.value, tcpBeLiberal: tcpBeLiberal.value },
    },
    issues: [addresses, nfacct, randomFully, tcpBeLiberal].flatMap(({ issues }) => issues),
  }
}

export interface ToolFeatures {
  readonly features: Omit<HostFeatures, 'nfacct'>
  /** As those of a LiveHost. */
  readonly issues: readonly Issue[]
}

/**
 * What rules need to know beside addresses and counters, for a daemon whose helper process runs the tools: the daemon then
 * loads nothing for it. Never throws for a fact that can't be found out.
 */
export async function readToolFeatures(run: RunTool): Promise<ToolFeatures> {
  const [randomFully, tcpBeLiberal] = await Promise.all([probeRandomFully(run), probeTcpBeLiberal()])
  return {
    features: { randomFully: randomFully.value, tcpBeLiberal: tcpBeLiberal.value },
    issues: [...randomFully.issues, ...tcpBeLiberal.issues],
  }
}

/** Whether this answer to `iptables --version` tells of --random-fully; undefined when it is no such answer. */
export function knowsRandomFully(answer: string): boolean | undefined {
  const version = /^ip6?tables v(\d+)\.(\d+)(?:\.(\d+))?/.exec(answer)
  if (version === null) return undefined
  for (const [index, least] of RANDOM_FULLY_SINCE.entries()) {
    const part = Number(version[index + 1] ?? 0)
    if (part !== least) return part > least
  }
  return true
}

/** `netlink` is why it could not be loaded when it is a text. */
async function probeAddresses(netlink: Netlink | string): Promise<Probed<readonly Ip[]>> {
  try {
    if (typeof netlink !== 'string') return { value: await readAddresses(netlink), issues: [] }
    return addressesOfNode(netlink)
  } catch (error) {
    return addressesOfNode(firstLine(error))
  }
}

function addressesOfNode(why: string): Probed<readonly Ip[]> {
  const seen = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const missing = `netlink can't be used (${why}), so addresses of interfaces that are down are not known`
  return { value: seen.flatMap(({ address }) => parseIp(address) ?? []), issues: [notice('interfaces', missing)] }
}

async function probeNfacct(netlink: Netlink | string): Promise<Probed<boolean>> {
  if (typeof netlink === 'string') return assumed('nfacct', `netlink can't be used (${netlink})`)
  const support = await probeCounters(netlink)
  if (support === 'not permitted') return assumed('nfacct', 'the kernel answers only root (CAP_NET_ADMIN)')
  return { value: support === 'supported', issues: [] }
}

async function probeRandomFully(run: RunTool): Promise<Probed<boolean>> {
  try {
    const { stdout } = await run({ argv: ['iptables', '--version'], timeoutMs: IPTABLES_TIMEOUT_MS })
    const value = knowsRandomFully(stdout)
    return value === undefined
      ? assumed('randomFully', `iptables --version says ${JSON.stringify(firstLine(stdout))}`)
      : { value, issues: [] }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return assumed('randomFully', error.message)
  }
}

/** Absent until the kernel tracks connections; then it is off. */
async function probeTcpBeLiberal(): Promise<Probed<boolean>> {
  try {
    return { value: Number(await readFile(TCP_BE_LIBERAL, 'utf8')) !== 0, issues: [] }
  } catch (error) {
    return assumed('tcpBeLiberal', firstLine(error))
  }
}

function assumed(feature: keyof HostFeatures, why: string): Probed<boolean> {
  const value = ASSUMED_FEATURES[feature]
  return { value, issues: [notice(`features.${feature}`, `could not be probed, assumed ${value}: ${why}`)] }
}

function notice(field: string, message: string): Issue {
  return { severity: 'notice', at: { source: 'this host', field }, message }
}

function firstLine(error: unknown): string {
  return String(error).split('\n', 1)[0] ?? ''
}
