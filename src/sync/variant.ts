// Which of the two iptables a host uses. Rules of both act on each packet, so sluice must write where everybody else
// does. The decision is that of the wrappers that the ecosystem's images carry
// (https://github.com/kubernetes-sigs/iptables-wrappers): the kubelet's hint first, then where there are more rules.
import type { Family } from '../model/address.ts'

export type IptablesVariant = 'nft' | 'legacy'

/** What one variant shows of both families, as the text of its `-save` commands; empty when it is not installed. */
export interface VariantFacts {
  readonly installed: boolean
  readonly saved: string
  /** The kernel did not answer its `-save` command: it has no nf_tables, or no ip_tables. */
  readonly unsupported?: true
}

export interface VariantDecision {
  readonly variant: IptablesVariant
  /** For a log line. */
  readonly because: string
}

/** Chains that only the kubelet makes: KUBE-IPTABLES-HINT since Kubernetes 1.24, the other one since 1.17. */
const HINTS = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) /m

/**
 * `override` is the user's choice. Undefined when neither variant is installed, or not the one that was chosen.
 * Asking legacy loads its kernel modules, so let a caller that has found a hint in nft leave `legacy.saved` empty.
 */
export function chooseVariant(
  nft: VariantFacts,
  legacy: VariantFacts,
  override?: IptablesVariant,
): VariantDecision | undefined {
  const installed = { nft: nft.installed, legacy: legacy.installed }
  if (override !== undefined) {
    return installed[override] ? { variant: override, because: 'it was chosen by a flag' } : undefined
  }
  if (!nft.installed && !legacy.installed) return undefined
  if (!legacy.installed) return { variant: 'nft', because: 'iptables-legacy is not installed' }
  if (!nft.installed) return { variant: 'legacy', because: 'iptables-nft is not installed' }
  if (nft.unsupported !== legacy.unsupported) {
    return nft.unsupported === true
      ? { variant: 'legacy', because: 'this kernel does not support iptables-nft' }
      : { variant: 'nft', because: 'this kernel does not support iptables-legacy' }
  }
  if (HINTS.test(nft.saved)) return { variant: 'nft', because: "the kubelet's chains are there" }
  if (HINTS.test(legacy.saved)) return { variant: 'legacy', because: "the kubelet's chains are there" }
  const rules = { nft: countRules(nft.saved), legacy: countRules(legacy.saved) }
  if (rules.legacy > rules.nft) {
    return { variant: 'legacy', because: `it has ${rules.legacy} rules and nft ${rules.nft}` }
  }
  if (rules.nft > 0) return { variant: 'nft', because: `it has ${rules.nft} rules and legacy ${rules.legacy}` }
  return { variant: 'nft', because: 'neither has any rules' }
}

function countRules(saved: string): number {
  return saved.match(/^-A /gm)?.length ?? 0
}

export interface IptablesTools {
  readonly run: string
  readonly save: string
  readonly restore: string
}

/** The programs of one variant and family. */
export function toolsOf(variant: IptablesVariant, family: Family): IptablesTools {
  const run = `${family === 'ipv4' ? 'iptables' : 'ip6tables'}-${variant}`
  return { run, save: `${run}-save`, restore: `${run}-restore` }
}
