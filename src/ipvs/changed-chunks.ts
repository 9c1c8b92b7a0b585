// What ServicePorts contribute that differs between two programs, without looking into those that are the same objects.
import { ownerOf } from '../iptables/service.ts'
import type { ServicePort } from '../model/service-port.ts'
import { compareServicePorts } from '../resolve/resolver.ts'
import type { IpvsChunk } from './chunk.ts'
import type { IpvsProgram } from './program.ts'
import { compileIpvsServicePort } from './service.ts'

/** At least one side is there. */
export interface ChangedChunk {
  readonly owner: string
  readonly present?: IpvsChunk
  readonly wanted?: IpvsChunk
}

/** What one ServicePort of the program contributes. */
export function ipvsChunkOf(program: IpvsProgram, servicePort: ServicePort): IpvsChunk {
  return program.kept?.get(servicePort) ?? compileIpvsServicePort(servicePort, program.settings)
}

/**
 * In the order of ServicePorts, one after the other: all at once would take more memory than the state that is made of
 * them. What was compiled for the program before is compiled again.
 */
export function* changedChunks(wanted: IpvsProgram, present: IpvsProgram | undefined): Generator<ChangedChunk> {
  if (present === undefined) {
    for (const port of wanted.servicePorts) yield { owner: ownerOf(port), wanted: ipvsChunkOf(wanted, port) }
    return
  }
  const before = present.servicePorts
  let at = 0
  for (const port of wanted.servicePorts) {
    for (let other = before[at]; other !== undefined && precedes(other, port); other = before[at]) {
      at += 1
      yield { owner: ownerOf(other), present: ipvsChunkOf(present, other) }
    }
    const other = before[at]
    if (other === undefined || (other !== port && compareServicePorts(other, port) !== 0)) {
      yield { owner: ownerOf(port), wanted: ipvsChunkOf(wanted, port) }
      continue
    }
    at += 1
    if (other === port && sameChunk(port, wanted, present)) continue
    yield { owner: ownerOf(port), present: ipvsChunkOf(present, other), wanted: ipvsChunkOf(wanted, port) }
  }
  for (const gone of before.slice(at)) yield { owner: ownerOf(gone), present: ipvsChunkOf(present, gone) }
}

function precedes(a: ServicePort, b: ServicePort): boolean {
  return a !== b && compareServicePorts(a, b) < 0
}

function sameChunk(port: ServicePort, wanted: IpvsProgram, present: IpvsProgram): boolean {
  return wanted.settings === present.settings && wanted.kept?.get(port) === present.kept?.get(port)
}
