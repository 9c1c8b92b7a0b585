// What sluice wants in the kernel, for one family. It holds resolved ServicePorts, not their rules: these are quickly
// compiled again wherever they are needed, and 172,000 rules are not quickly kept.
import type { Family } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Chunk } from './chunk.ts'
import { compileServicePort } from './service.ts'
import type { ServiceSettings } from './service-rules.ts'

export interface Program {
  readonly family: Family
  readonly settings: ServiceSettings
  readonly static: Chunk
  /** In the order of their rules: by name, then protocol. One that did not change is the same object as before. */
  readonly servicePorts: readonly ServicePort[]
  /** Rules that are not those of the ServicePort: the kernel refused these, so that it keeps what it has. */
  readonly kept?: ReadonlyMap<ServicePort, Chunk>
}

/** The rules of one ServicePort of the program. */
export function chunkOf(program: Program, servicePort: ServicePort): Chunk {
  return program.kept?.get(servicePort) ?? compileServicePort(servicePort, program.settings)
}
