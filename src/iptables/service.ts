// One ServicePort -> its chunk of rules: lines in shared chains, and chains of its own.
import type { ServicePort } from '../model/service-port.ts'
import type { Chunk } from './chunk.ts'
import { nameServiceChains } from './names.ts'
import { compileChains } from './service-chains.ts'
import { compileEntries } from './service-entries.ts'
import type { ServiceSettings } from './service-rules.ts'

export function compileServicePort(servicePort: ServicePort, settings: ServiceSettings): Chunk {
  const compilation = { servicePort, settings, names: nameServiceChains(servicePort) }
  return {
    owner: ownerOf(servicePort),
    chains: compileChains(compilation),
    entries: compileEntries(compilation),
  }
}

/** `ns1/svc1:p80 tcp` */
export function ownerOf(servicePort: ServicePort): string {
  return `${servicePort.name} ${servicePort.protocol}`
}
