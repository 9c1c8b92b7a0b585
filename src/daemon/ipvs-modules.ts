// Which kernel modules of IPVS mode are missing that no tool asks for by itself: the types of sets, and the matches of the
// rules around. Without one of them no rule could be written, and the tools would not say why.
import { CommandError } from '../host/exec.ts'
import type { Hands } from '../host/hands.ts'
import { createSetLine, destroySetLine } from '../ipset/print.ts'
import { SET_NAMES, setHeader } from '../ipvs/sets.ts'
import { temporarySet } from '../sync/ipvs/picture.ts'
import { type IptablesVariant, toolsOf } from '../sync/variant.ts'
import { DaemonFailure } from './daemon.ts'

type RunHands = Pick<Hands, 'run'>

const TIMEOUT_MS = 20_000

/** Rules that are only read, of a chain and a set that nobody has. */
const TRIAL = `*filter
:KUBE-SLUICE-TRIAL - [0:0]
-A KUBE-SLUICE-TRIAL -m ipvs --vaddr 198.51.100.0 --vproto 6 --vport 20000 -j DROP
-A KUBE-SLUICE-TRIAL -m set --match-set KUBE-SLUICE-TRIAL dst,dst -j DROP
COMMIT
`
/** Both variants of iptables 1.8.9, which ask the kernel for each match while they read: nothing is written. */
const NOT_IN_KERNEL =
  /Extension (ipvs|set) revision \d+ not supported, missing kernel module|Kernel module xt_(set) is not/
const NOT_IN_TOOL = /Couldn't (?:load|find) match .(ipvs|set)\b/

/** Writes nothing, and needs no set. @throws DaemonFailure that names the missing match. */
export async function checkMatches(hands: RunHands, variant: IptablesVariant): Promise<void> {
  const { restore } = toolsOf(variant, 'ipv4')
  const argv = [restore, '-w', '5', '--test', '--noflush'] as const
  // It ends at the set that is not there, or not at all, which does not matter: what it says of matches comes before.
  const said = await hands.run({ argv, stdin: TRIAL, timeoutMs: TIMEOUT_MS }).then(
    ({ stderr }) => stderr,
    (error: unknown) => {
      if (error instanceof CommandError && error.failure.kind === 'exit') return error.stderr
      throw error
    },
  )
  const [, warned, notLoaded] = NOT_IN_KERNEL.exec(said) ?? []
  const match = warned ?? notLoaded
  if (match !== undefined) throw missingModule(`match ${match} of iptables`, `xt_${match}`, configOf(match))
  const [, unknown] = NOT_IN_TOOL.exec(said) ?? []
  if (unknown === undefined) return
  throw new DaemonFailure(
    `${restore} does not know the match ${unknown}, which IPVS mode needs: install all of iptables (Debian: apt-get install iptables)`,
  )
}

/** Linux's Kconfig files: net/netfilter. */
function configOf(match: string): string {
  return match === 'set' ? 'CONFIG_NETFILTER_XT_SET' : 'CONFIG_NETFILTER_XT_MATCH_IPVS'
}

/**
 * Makes a set of each type that no set has yet, and destroys it again. `list`: what `ipset list -t` says.
 * @throws DaemonFailure that names the missing type.
 */
export async function checkSetTypes(hands: RunHands, list: string): Promise<void> {
  const name = temporarySet('ipv4')
  const known = new Set([...list.matchAll(/^Type: (\S+)$/gm)].map(([, type]) => type))
  const headers = new Map(SET_NAMES.map((base) => setHeader(base, 'ipv4', 0)).map((header) => [header.type, header]))
  const tried = [...headers.values()].filter(({ type }) => !known.has(type))
  if (tried.length === 0) return
  // Left by a check, or by a sync, that was killed.
  const leftover = `${list}\n`.includes(`Name: ${name}\n`) ? [destroySetLine(name)] : []
  const lines = tried.flatMap((header) => [createSetLine({ ...header, name }), destroySetLine(name)])
  const stdin = [...leftover, ...lines].map((line) => `${line}\n`).join('')
  try {
    await hands.run({ argv: ['ipset', 'restore'], stdin, timeoutMs: TIMEOUT_MS })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const [, line] = /Error in line (\d+): .*(?:type|revision).* not supported/.exec(error.stderr) ?? []
    const refused = line === undefined ? undefined : tried[Math.floor((Number(line) - 1 - leftover.length) / 2)]
    if (refused === undefined) throw new DaemonFailure(`sets can't be made: ${error.message}`, { cause: error })
    const module = `ip_set_${refused.type.replace(':', '_').replaceAll(',', '')}`
    throw missingModule(`sets of type ${refused.type}`, module, `CONFIG_${module.toUpperCase()}`)
  }
}

function missingModule(what: string, module: string, setting: string): DaemonFailure {
  return new DaemonFailure(
    `this kernel has no ${what}: load its module (modprobe ${module}), or use a kernel that was built with ${setting}`,
  )
}
