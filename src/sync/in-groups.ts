// Programs Services group by group, for a kernel that refuses a change and does not say which line, as iptables-legacy
// does, which refuses whole tables: a group that is refused is halved until it is one ServicePort, which is then
// isolated. Those whose turn has not come keep what they have; what is fixed comes first, so that its failure is nobody's.
import type { Chunk } from '../iptables/chunk.ts'
import { findOwner } from '../iptables/find-owner.ts'
import { createKeptChunks } from '../iptables/kept-chunk.ts'
import { printRule } from '../iptables/print-rule.ts'
import { chunkOf, type Program } from '../iptables/program.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Applier } from './applier.ts'
import type { Isolations } from './isolation.ts'
import { RestoreError } from './kernel-access.ts'

export interface GroupOptions {
  /** Called before each group; throws to end. */
  readonly onGroup: () => void
  readonly onIsolated: (servicePort: ServicePort, chunk: Chunk, error: RestoreError) => void
}

/** The number of lines written. Throws the RestoreError of what can't be put down to a ServicePort. */
export async function bringInGroups(
  applier: Applier,
  isolations: Isolations,
  program: Program,
  options: GroupOptions,
): Promise<number> {
  const { onGroup, onIsolated } = options
  const kernel = await applier.read()
  const keep = createKeptChunks(kernel)
  const waiting = new Map<ServicePort, { readonly standIn: ServicePort; readonly chunk: Chunk }>()
  for (const servicePort of isolations.substitute(program).servicePorts) {
    const chunk = keep(servicePort)
    const standIn = { ...servicePort }
    if (!sameChunk(chunk, chunkOf(program, servicePort), program)) waiting.set(servicePort, { standIn, chunk })
  }
  const groups: (readonly ServicePort[])[] = waiting.size === 0 ? [] : [[...waiting.keys()]]
  const candidate = (group: readonly ServicePort[]) => hold(isolations.substitute(program), waiting, new Set(group))

  let { lines } = await applier.bring(candidate([]), { kernel })
  for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
    onGroup()
    try {
      lines += (await applier.bring(candidate(group))).lines
      for (const servicePort of group) waiting.delete(servicePort)
    } catch (error) {
      const culprits = blame(error, group, program)
      if (culprits === undefined) groups.unshift(...halve(group))
      else {
        for (const servicePort of culprits) {
          const chunk = waiting.get(servicePort)?.chunk ?? keep(servicePort)
          waiting.delete(servicePort)
          onIsolated(servicePort, chunk, error as RestoreError)
        }
        const rest = group.filter((servicePort) => !culprits.includes(servicePort))
        if (rest.length > 0) groups.unshift(rest)
      }
    }
  }
  return lines
}

/** Who of the group the failure is due to; undefined when it has to be halved. Throws a failure that is nobody's. */
function blame(error: unknown, group: readonly ServicePort[], program: Program): readonly ServicePort[] | undefined {
  if (!(error instanceof RestoreError)) throw error
  const { failure } = error
  if (failure.kind !== 'refused') throw error
  const named = new Set(error.lines.map((line) => findOwner(program, line)))
  const culprits = group.filter((servicePort) => named.has(servicePort))
  if (culprits.length > 0) return culprits
  return group.length === 1 ? group : undefined
}

function hold(
  program: Program,
  waiting: ReadonlyMap<ServicePort, { readonly standIn: ServicePort; readonly chunk: Chunk }>,
  running: ReadonlySet<ServicePort>,
): Program {
  const kept = new Map(program.kept)
  const servicePorts = program.servicePorts.map((servicePort) => {
    const held = running.has(servicePort) ? undefined : waiting.get(servicePort)
    if (held === undefined) return servicePort
    kept.set(held.standIn, held.chunk)
    return held.standIn
  })
  return { ...program, servicePorts, kept }
}

function sameChunk(a: Chunk, b: Chunk, program: Program): boolean {
  return printChunk(a, program) === printChunk(b, program)
}

function printChunk({ chains, entries }: Chunk, { family }: Program): string {
  const chainTexts = chains.map(
    ({ table, name, rules }) => `${table} ${name}\n${rules.map((rule) => printRule(rule, family)).join('\n')}`,
  )
  const entryTexts = entries.map(({ table, chain, rule }) => `${table} ${chain} ${printRule(rule, family)}`)
  return [...chainTexts.toSorted(), ...entryTexts.toSorted()].join('\n')
}

function halve<T>(items: readonly T[]): readonly [T[], T[]] {
  const middle = Math.ceil(items.length / 2)
  return [items.slice(0, middle), items.slice(middle)]
}
