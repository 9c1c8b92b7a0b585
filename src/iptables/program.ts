// What sluice wants in the kernel, for one family. It holds resolved ServicePorts, not their rules: these are quickly
// compiled again wherever they are needed, and 172,000 rules are not quickly kept.
import type { Family } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Chunk, Entry } from './chunk.ts'
import type { ChainName, TableName } from './rule.ts'
import { compileServicePort } from './service.ts'
import type { ServiceSettings } from './service-rules.ts'

export interface Program {
  readonly family: Family
  readonly settings: ServiceSettings
  readonly static: Chunk
  /** From base chains; each is inserted at the top, in this order, so they end up in reverse. */
  readonly jumps: readonly Entry[]
  /** In the order of their rules: by name, then protocol. One that did not change is the same object as before. */
  readonly servicePorts: readonly ServicePort[]
  /** Of another mode, and removed where they are found. */
  readonly retired?: Retired
  /** Rules that are not those of the ServicePort: the kernel refused these, so that it keeps what it has. */
  readonly kept?: ReadonlyMap<ServicePort, Chunk>
}

export interface Retired {
  readonly chains: readonly { readonly table: TableName; readonly name: ChainName }[]
  readonly jumps: readonly Entry[]
}

/** The rules of one ServicePort of the program. */
export function chunkOf(program: Program, servicePort: ServicePort): Chunk {
  return program.kept?.get(servicePort) ?? compileServicePort(servicePort, program.settings)
}
