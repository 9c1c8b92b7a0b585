// Iptables mode, for the daemon.
import { createCompiler } from '../iptables/compile.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import { chunkOf, type Program } from '../iptables/program.ts'
import { printRestore } from '../iptables/restore.ts'
import { createProgramMeter } from '../iptables/statistics.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { SyncEvent } from '../sync/sync-event.ts'
import { createSyncer } from '../sync/syncer.ts'
import type { Mode, ModeSyncEvent } from './mode.ts'

export const IPTABLES_MODE: Mode<Program> = {
  createCompiler,
  createSyncer: (options) => createSyncer({ ...options, onEvent: (event) => options.onEvent(translateEvent(event)) }),
  createMeter: createProgramMeter,
  printRules,
}

/** Events of rules, in both modes. */
export function translateEvent(event: SyncEvent): ModeSyncEvent {
  if (event.kind !== 'restore failed') return event
  const { error } = event
  return { kind: 'failed', error, payload: () => printRestore(error.change) }
}

function* printRules(program: Program, service: ObjectKey | undefined): Generator<string> {
  for (const servicePort of program.servicePorts) {
    if (service !== undefined && servicePort.service !== service) continue
    const { owner, chains, entries } = chunkOf(program, servicePort)
    const lines = [
      ...entries.map(({ table, chain, rule }) => [table, chain, rule] as const),
      ...chains.flatMap(({ table, name, rules }) => rules.map((rule) => [table, name, rule] as const)),
    ]
    const text = lines.map(
      ([table, chain, rule]) => `${printRuleLine(`-t ${table} -A ${chain}`, rule, program.family)}\n`,
    )
    yield `# ${owner}\n${text.join('')}`
  }
}
