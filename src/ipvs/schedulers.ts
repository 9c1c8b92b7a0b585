// The schedulers of Linux, so that a misspelt one is refused before anything depends on it. kube-proxy accepts any text
// and leaves it to the kernel, where a module of that name may be loaded: `ip_vs_<name>`.

/** Linux 6.12, net/netfilter/ipvs/Kconfig. */
export const SCHEDULERS: readonly string[] = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'mh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'twos',
]

/**
 * The flag with which a scheduler that chooses by a hash passes over real servers of weight 0, where there is one: Linux
 * 6.1, IP_VS_SVC_F_SCHED_SH_FALLBACK and IP_VS_SVC_F_SCHED_MH_FALLBACK.
 */
export function fallbackFlag(scheduler: string): string | undefined {
  return scheduler === 'sh' || scheduler === 'mh' ? `${scheduler}-fallback` : undefined
}

/** Whether new clients are served while a real server has weight 0. */
export function servesBesideQuiet(scheduler: string): boolean {
  return scheduler !== 'dh'
}

/** What is wrong with `ipvs.scheduler`, and what to do; undefined for a name of a scheduler, and for none: rr. */
export function findSchedulerProblem(scheduler: string): string | undefined {
  if (scheduler === '' || SCHEDULERS.includes(scheduler)) return undefined
  return `${JSON.stringify(scheduler)} is no IPVS scheduler: use ${SCHEDULERS.slice(0, -1).join(', ')} or ${SCHEDULERS.at(-1)}`
}
