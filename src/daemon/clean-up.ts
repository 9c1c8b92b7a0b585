// `--cleanup`: removes what kube-proxy or sluice left in iptables, IPVS and nftables, and only that.
import { CommandError } from '../host/exec.ts'
import type { Hands } from '../host/hands.ts'
import { type Cidr, FAMILIES, type Family } from '../model/address.ts'
import { describeCleanUp, planCleanUp, planNftablesCleanUp } from '../sync/clean-up.ts'
import { type IptablesVariant, toolsOf } from '../sync/variant.ts'
import { type LeftoverHands, readLeftovers, removeLeftovers } from './ipvs-leftovers.ts'
import type { Log } from './log.ts'

const TIMEOUT_MS = 300_000
const VARIANTS: readonly IptablesVariant[] = ['nft', 'legacy']

/**
 * Cleans both variants and families. Virtual servers of `excludeCIDRs`, and all others that are not ours, stay. Returns whether
 * everything went well; each failure is logged.
 */
export async function cleanUp(hands: LeftoverHands, log: Log, excludeCIDRs: readonly Cidr[]): Promise<boolean> {
  let succeeded = true
  const attempt = async (what: string, work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      if (error instanceof CommandError && error.failure.kind === 'missing') return
      succeeded = false
      log.error(`${what} could not be cleaned`, { error })
    }
  }
  for (const variant of VARIANTS) {
    for (const family of FAMILIES) {
      await attempt(`${family} rules of iptables-${variant}`, () => cleanIptables(hands, log, variant, family))
    }
  }
  // Sets can't be removed before the rules that name them.
  await attempt('IPVS', async () => removeLeftovers(hands, await readLeftovers(hands, excludeCIDRs), log))
  await attempt('nftables', () => cleanNftables(hands, log))
  return succeeded
}

async function cleanIptables(
  hands: Pick<Hands, 'run'>,
  log: Log,
  variant: IptablesVariant,
  family: Family,
): Promise<void> {
  const tools = toolsOf(variant, family)
  const { stdout } = await hands.run({ argv: [tools.save], timeoutMs: TIMEOUT_MS })
  const plan = planCleanUp(stdout, family)
  for (const { table, payload } of plan) {
    const argv = [tools.restore, '-w', '5', '-T', table, '--noflush', '--counters'] as const
    await hands.run({ argv, stdin: payload, timeoutMs: TIMEOUT_MS })
  }
  for (const line of describeCleanUp(plan)) log.info(line, { variant })
}

/** Tables that kube-proxy makes in nftables mode; it removes them itself whenever it starts in another mode. */
export async function cleanNftables(hands: Pick<Hands, 'run'>, log: Log): Promise<void> {
  const { stdout } = await hands.run({ argv: ['nft', 'list', 'tables'], timeoutMs: TIMEOUT_MS })
  for (const argv of planNftablesCleanUp(stdout)) {
    await hands.run({ argv, timeoutMs: TIMEOUT_MS })
    log.info('a table of kube-proxy was removed', { command: argv.join(' ') })
  }
}
