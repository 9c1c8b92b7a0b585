// One failed rule of KubeProxyConfiguration, in two wordings: kube-proxy's own, which operators may search or grep for,
// and ours, which says what to do.

export interface ConfigProblem {
  /** kube-proxy's name of the place, without `KubeProxyConfiguration.`; its names differ from those in the file. */
  readonly path: string
  /** Where the value stands in the document: `iptables.masqueradeBit`, `nodePortAddresses[1]`. */
  readonly field: string
  readonly kind: 'Invalid value' | 'Unsupported value' | 'Forbidden'
  /** Durations as Go prints them. */
  readonly value: string | number | readonly string[] | Readonly<Record<string, boolean>>
  /** kube-proxy's reason. */
  readonly reason: string
  /** What to write instead, as an imperative without a full stop. */
  readonly advice: string
}

/** `KubeProxyConfiguration.SyncPeriod: Invalid value: "0s": must be greater than 0` */
function formatConfigProblem({ path, kind, value, reason }: ConfigProblem): string {
  const shown = kind === 'Forbidden' ? '' : `: ${JSON.stringify(value)}`
  return `KubeProxyConfiguration.${path}: ${kind}${shown}: ${reason}`
}

/** All problems as kube-proxy prints them after `failed validate: `: one alone, several in brackets, none twice. */
export function formatConfigProblems(problems: readonly ConfigProblem[]): string {
  const texts = [...new Set(problems.map(formatConfigProblem))]
  return texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`
}

/** The message of an issue: our wording, then kube-proxy's. */
export function explainConfigProblem(problem: ConfigProblem): string {
  return `${JSON.stringify(problem.value)} is not allowed: ${problem.advice} (kube-proxy: ${formatConfigProblem(problem)})`
}

type Check = Omit<ConfigProblem, 'kind'> & { readonly kind?: ConfigProblem['kind'] }

/** One problem when the condition fails, else none. */
export function need(holds: boolean, problem: Check): readonly ConfigProblem[] {
  return holds ? [] : [{ kind: 'Invalid value', ...problem }]
}
