// What IPVS mode needs of the machine, asked for before anything is written: tools, kernel modules, the scheduler, kernel
// settings. Each thing that is missing is named, with the way to get it.
import { release } from 'node:os'
import { CommandError } from '../host/exec.ts'
import { type Hands, NetlinkError } from '../host/hands.ts'
import { applySysctls, readSysctls } from '../host/sysctl-files.ts'
import type { IpvsConfig } from '../model/config.ts'
import { IPVS_DEVICE } from '../model/host.ts'
import { IPVS_SYSCTL_PATHS, ipvsTimeoutCommand, planIpvsSysctls } from '../sync/ipvs/kernel-settings.ts'
import type { IptablesVariant } from '../sync/variant.ts'
import { DaemonFailure } from './daemon.ts'
import { checkMatches, checkSetTypes } from './ipvs-modules.ts'
import type { Log } from './log.ts'

type PreflightHands = Pick<Hands, 'run' | 'listDeviceAddresses' | 'changeDeviceAddresses' | 'deleteDevice'>

const TIMEOUT_MS = 20_000
/** Of a documentation network (RFC 5737), as in kube-proxy. */
const PROBE = ['-t', '198.51.100.0:20000'] as const
const NEEDS_RIGHTS = 'IPVS mode needs root or the capability NET_ADMIN, also to read what the kernel has'
/** ipvsadm's, ipset's and iptables's. */
const NOT_ALLOWED = /Permission denied|Operation not permitted/
/** `ipset --version` of the first that is good enough, as in kube-proxy. */
const OLDEST_IPSET = 6

/** Kernel settings and time-outs, once everything is there. @throws SysctlError when a setting can't be written. */
export async function prepareIpvs(
  hands: Pick<Hands, 'run'>,
  config: IpvsConfig,
  { log, isDryRun }: { readonly log: Log; readonly isDryRun: boolean },
): Promise<void> {
  const needs = { strictARP: config.strictARP, kernelRelease: release() }
  const steps = planIpvsSysctls(needs, await readSysctls(IPVS_SYSCTL_PATHS))
  for (const { path, value, why } of steps) log.info('kernel setting', { path, value, why })
  if (isDryRun) return
  await applySysctls(steps)
  const timeouts = ipvsTimeoutCommand(config)
  if (timeouts === undefined) return
  await hands.run({ argv: timeouts, timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
    log.warn('the time-outs of IPVS could not be set', { error })
  })
}

export interface IpvsWants {
  /** rr when empty. */
  readonly scheduler: string
  readonly variant: IptablesVariant
  readonly isDryRun: boolean
}

/**
 * Tools and modules, and unless it is a dry run the types of sets, the scheduler and the interface, which only trying tells
 * of. What is missing leaves nothing written. @throws DaemonFailure that says what is missing.
 */
export async function checkIpvs(
  hands: PreflightHands,
  { scheduler: given, variant, isDryRun }: IpvsWants,
): Promise<void> {
  const scheduler = given === '' ? 'rr' : given
  const services = (await readServices(hands)).split('\n')
  const sets = await readSetList(hands)
  await checkMatches(hands, variant)
  if (isDryRun) return
  await checkSetTypes(hands, sets)
  // Left by a check that was killed.
  if (services.some((line) => line.startsWith(`-A ${PROBE.join(' ')} `))) await deleteProbe(hands)
  // What is in use works.
  const inUse = services.some((line) => `${line} `.includes(` -s ${scheduler} `))
  if (!inUse) await checkScheduler(hands, scheduler)
  await checkDevice(hands)
}

async function readServices(hands: PreflightHands): Promise<string> {
  const { stdout } = await orExplain(hands, ['ipvsadm', '-Sn'], {
    tool: 'IPVS mode needs ipvsadm: install it (Debian: apt-get install ipvsadm)',
    refused:
      'this kernel has no IPVS: load its module (modprobe ip_vs), or use a kernel that was built with CONFIG_IP_VS',
  })
  return stdout
}

/** What `ipset list -t` says. */
async function readSetList(hands: PreflightHands): Promise<string> {
  const tool = 'IPVS mode needs ipset: install it (Debian: apt-get install ipset)'
  const refused = 'this kernel has no ipset: load its module (modprobe ip_set), or use one built with CONFIG_IP_SET'
  const { stdout } = await orExplain(hands, ['ipset', '--version'], { tool, refused })
  const [, major] = /v(\d+)\.\d+/.exec(stdout) ?? []
  if (major === undefined || Number(major) < OLDEST_IPSET) {
    throw new DaemonFailure(`IPVS mode needs ipset 6.0 or later, and this is ${stdout.trim() || 'of no known version'}`)
  }
  return (await orExplain(hands, ['ipset', 'list', '-t'], { tool, refused })).stdout
}

/** Made here and not used yet, so a machine without it is told so before rules are written. */
async function checkDevice(hands: PreflightHands): Promise<void> {
  try {
    if ((await hands.listDeviceAddresses(IPVS_DEVICE)) !== undefined) return
    await hands.changeDeviceAddresses(IPVS_DEVICE, { add: [], remove: [] })
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code === 'TIMEOUT') throw error
    const advice =
      error.code === 'EPERM'
        ? 'give sluice the capability NET_ADMIN'
        : 'load the module of dummy interfaces (modprobe dummy), or use a kernel that was built with CONFIG_DUMMY'
    throw new DaemonFailure(`the interface ${IPVS_DEVICE} can't be made: ${error.message}: ${advice}`, { cause: error })
  }
}

/** Loads its module too, where that can be done. */
async function checkScheduler(hands: PreflightHands, scheduler: string): Promise<void> {
  const refused = `this kernel does not have the IPVS scheduler ${scheduler}: load its module (modprobe ip_vs_${scheduler}), or choose another ipvs.scheduler`
  await orExplain(hands, ['ipvsadm', '-A', ...PROBE, '-s', scheduler], { tool: refused, refused })
  await deleteProbe(hands)
}

async function deleteProbe(hands: PreflightHands): Promise<void> {
  await hands.run({ argv: ['ipvsadm', '-D', ...PROBE], timeoutMs: TIMEOUT_MS })
}

async function orExplain(
  hands: PreflightHands,
  argv: readonly [string, ...string[]],
  { tool, refused }: { readonly tool: string; readonly refused: string },
) {
  try {
    return await hands.run({ argv, timeoutMs: TIMEOUT_MS })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    if (error.failure.kind === 'missing') throw new DaemonFailure(tool, { cause: error })
    const lines = error.stderr.trim().split('\n')
    const denied = lines.find((line) => NOT_ALLOWED.test(line))
    if (denied !== undefined) {
      throw new DaemonFailure(`${NEEDS_RIGHTS} (${argv.join(' ')}: ${denied})`, { cause: error })
    }
    const said = lines.at(-1) ?? ''
    throw new DaemonFailure(`${refused} (${argv.join(' ')}: ${said})`, { cause: error })
  }
}
