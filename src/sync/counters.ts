// The nfacct counters that rules name. iptables-restore refuses a rule whose counter does not exist, so they are made
// before the first sync, and rules go without them where that fails.
import type { Hands } from '../host/hands.ts'
import { nfacctObjects } from '../iptables/print-payload.ts'
import type { Program } from '../iptables/program.ts'
import type { ServiceSettings } from '../iptables/service-rules.ts'
import { compileStatic } from '../iptables/static.ts'

export interface Counters {
  /** The program as it is when its counters exist, else without them. The same settings stay the same object. */
  readonly adapt: (program: Program) => Promise<Program>
}

export function createCounters(hands: Pick<Hands, 'ensureCounters'>): Counters {
  const existing = new Set<string>()
  const withoutCounters = new WeakMap<ServiceSettings, ServiceSettings>()
  let tried = ''
  return {
    adapt: async (program) => {
      const names = nfacctObjects(program)
      if (names.some((name) => !existing.has(name)) && tried !== names.join()) {
        for (const name of await hands.ensureCounters(names)) existing.add(name)
        tried = names.join()
      }
      if (names.every((name) => existing.has(name))) return program
      const settings = withoutCounters.get(program.settings) ?? { ...program.settings, nfacct: false }
      withoutCounters.set(program.settings, settings)
      return { ...program, settings, static: compileStatic(settings) }
    },
  }
}
