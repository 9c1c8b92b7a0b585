// IPVS mode, for the daemon.

import { addEntryLine } from '../ipset/print.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import { createProgramMeter } from '../iptables/statistics.ts'
import { ipvsChunkOf } from '../ipvs/changed-chunks.ts'
import { createIpvsCompiler } from '../ipvs/compile.ts'
import { printIpvsadmSave } from '../ipvs/print.ts'
import type { IpvsProgram } from '../ipvs/program.ts'
import { hostCidr } from '../model/address.ts'
import { IPVS_DEVICE } from '../model/host.ts'
import type { ObjectKey } from '../model/object-name.ts'
import { createIpvsSyncer, type IpvsSyncEvent } from '../sync/ipvs/syncer.ts'
import type { TerminationLimits } from '../sync/ipvs/terminations.ts'
import type { SyncReport } from '../sync/syncer.ts'
import { translateEvent } from './iptables-mode.ts'
import type { Finding, Mode, ModeSyncEvent, ProgramFigures } from './mode.ts'

export function createIpvsMode(termination: Partial<TerminationLimits>): Mode<IpvsProgram> {
  return {
    createCompiler: createIpvsCompiler,
    createSyncer: (options) =>
      createIpvsSyncer({
        ...options,
        device: IPVS_DEVICE,
        termination,
        onEvent: (event) => options.onEvent(translateIpvsEvent(event)),
      }),
    createMeter,
    printRules,
  }
}

function translateIpvsEvent(event: IpvsSyncEvent): ModeSyncEvent {
  if (event.kind === 'batch failed') return { ...event, kind: 'failed' }
  return event.kind === 'isolated' ? event : translateEvent(event)
}

/** The rules are few, and the same whatever the number of Services. */
function createMeter(): (program: IpvsProgram, report: SyncReport<Finding>) => ProgramFigures {
  const measureRules = createProgramMeter()
  return ({ servicePorts }, { rules }) => ({
    services: new Set(servicePorts.map(({ service }) => service)).size,
    endpoints: servicePorts.reduce((sum, { endpoints }) => sum + endpoints.known, 0),
    rules: rules === undefined ? new Map() : measureRules(rules).rules,
  })
}

function* printRules(program: IpvsProgram, service: ObjectKey | undefined): Generator<string> {
  for (const servicePort of program.servicePorts) {
    if (service !== undefined && servicePort.service !== service) continue
    const { owner, virtualServers, entries, addresses, outFilter } = ipvsChunkOf(program, servicePort)
    const lines = [
      ...entries.map(({ set, text }) => `ipset ${addEntryLine(set, text)}\n`),
      ...outFilter.map((rule) => `${printRuleLine('-t filter -A KUBE-IPVS-OUT-FILTER', rule, program.family)}\n`),
      ...addresses.map((ip) => `${IPVS_DEVICE} ${hostCidr(ip)}\n`),
    ]
    yield `# ${owner}\n${lines.join('')}${printIpvsadmSave(virtualServers)}`
  }
}
