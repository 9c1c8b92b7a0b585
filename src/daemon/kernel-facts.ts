// What the daemon finds out about the machine before it writes: which iptables is in use, and for which families.
import { readFile } from 'node:fs/promises'
import { CommandError } from '../host/exec.ts'
import type { Hands } from '../host/hands.ts'
import { FAMILIES, type Family } from '../model/address.ts'
import {
  chooseVariant,
  type IptablesVariant,
  toolsOf,
  type VariantDecision,
  type VariantFacts,
} from '../sync/variant.ts'

const TIMEOUT_MS = 60_000
const HINT = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) /m

/** Undefined when no iptables, or not the one that was chosen, is installed. */
export async function findVariant(
  hands: Pick<Hands, 'run'>,
  override: IptablesVariant | undefined,
): Promise<VariantDecision | undefined> {
  const nft = await readVariant(hands, 'nft')
  // Asking for legacy's tables loads their modules, so ask only when nft gives no answer.
  const known = override !== undefined || HINT.test(nft.saved)
  const legacy = known ? await findTool(hands, 'legacy') : await readVariant(hands, 'legacy')
  return chooseVariant(nft, legacy, override)
}

/** Families whose rules can be programmed: the tool works, and the kernel has the family. */
export async function findFamilies(hands: Pick<Hands, 'run'>, variant: IptablesVariant): Promise<readonly Family[]> {
  const found: Family[] = []
  for (const family of FAMILIES) {
    const argv = [toolsOf(variant, family).run, '-w', '5', '-S', 'POSTROUTING', '-t', 'nat'] as const
    const works = await hands.run({ argv, timeoutMs: TIMEOUT_MS }).then(
      () => true,
      (error: unknown) => refuseOther(error, false),
    )
    if (works && (family === 'ipv4' || (await hasIPv6()))) found.push(family)
  }
  return found
}

async function hasIPv6(): Promise<boolean> {
  const interfaces = await readFile('/proc/net/if_inet6', 'utf8').catch(() => undefined)
  const disabled = await readFile('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'utf8').catch(() => '1')
  return interfaces !== undefined && !disabled.includes('1')
}

async function findTool(hands: Pick<Hands, 'run'>, variant: IptablesVariant): Promise<VariantFacts> {
  const argv = [toolsOf(variant, 'ipv4').run, '--version'] as const
  return hands.run({ argv, timeoutMs: TIMEOUT_MS }).then(
    () => ({ installed: true, saved: '' }),
    (error: unknown) => refuseOther(error, { installed: false, saved: '' }),
  )
}

async function readVariant(hands: Pick<Hands, 'run'>, variant: IptablesVariant): Promise<VariantFacts> {
  const facts = await findTool(hands, variant)
  if (!facts.installed) return facts
  const saves = await Promise.all(
    FAMILIES.map((family) =>
      hands.run({ argv: [toolsOf(variant, family).save], timeoutMs: TIMEOUT_MS }).then(
        ({ stdout }) => stdout,
        (error: unknown) => refuseOther(error, undefined),
      ),
    ),
  )
  // A kernel may well be without IPv6.
  const unsupported = saves.every((saved) => saved === undefined)
  return { installed: true, saved: saves.join(''), ...(unsupported && { unsupported }) }
}

/** A tool that fails is an answer; that the helper process died is none. */
function refuseOther<T>(error: unknown, answer: T): T {
  if (error instanceof CommandError) return answer
  throw error
}
