// Flags of kube-proxy that sluice reads, checks, shows on /configz, and does nothing with: said in the help and, when one is
// set, in the log, because a setting that silently does nothing is a trap.

/** Why, by the name of the flag. */
export const FLAGS_WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  'kube-api-content-type': 'sluice speaks JSON',
  'kube-api-qps': 'sluice sends a handful of requests at its start, and waits longer after each failure',
  'kube-api-burst': 'sluice sends a handful of requests at its start, and waits longer after each failure',
  'config-sync-period': 'watches keep everything up to date',
  'show-hidden-metrics-for-version': 'no metric is hidden',
  'boot-id-file': 'kube-proxy keeps the flag and does nothing with it either',
  'machine-id-file': 'kube-proxy keeps the flag and does nothing with it either',
  vmodule: 'it names source files of kube-proxy; use -v',
  'log-flush-frequency': 'every line is written at once',
  'log-text-split-stream': 'all lines go to standard error',
  'log-text-info-buffer-size': 'every line is written at once',
  'log-json-split-stream': 'all lines go to standard error',
  'log-json-info-buffer-size': 'every line is written at once',
}
