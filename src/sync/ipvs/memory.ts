// What the syncer remembers between syncs: what is desired, what the kernel holds, and what of it somebody changed.
import { createIpvsLinker } from '../../ipvs/linker.ts'
import type { IpvsProgram, Touched } from '../../ipvs/program.ts'
import type { IpvsFinding } from './finding.ts'
import type { Expected } from './kernel-reader.ts'
import type { KernelPicture } from './picture.ts'

export interface Memory {
  readonly link: ReturnType<typeof createIpvsLinker>
  desired: IpvsProgram | undefined
  expected: Expected | undefined
  /** The last program of this process that the kernel got as a whole. */
  applied: IpvsProgram | undefined
  /** What the kernel holds; undefined when nobody knows. */
  believed: KernelPicture | undefined
  /** What it held when that was last known. */
  former: KernelPicture | undefined
  /** Where what is desired may differ from what is believed. */
  touched: Touched | undefined
  /** Somebody changed what was left in the kernel: tell what with the next reading. */
  suspected: boolean
  /** What of it is not told yet. */
  drift: readonly IpvsFinding[]
}

export function createMemory(): Memory {
  return {
    link: createIpvsLinker(),
    desired: undefined,
    expected: undefined,
    applied: undefined,
    believed: undefined,
    former: undefined,
    touched: undefined,
    suspected: false,
    drift: [],
  }
}

/** Makes the program the desired one. */
export function adopt(memory: Memory, program: IpvsProgram): Expected {
  const linked = memory.link(program)
  const expected = { state: linked.state, settings: program.settings, former: memory.former?.servers }
  memory.desired = program
  memory.touched = memory.touched === undefined ? linked.touched : mergeTouched(memory.touched, linked.touched)
  memory.expected = expected
  return expected
}

/** The kernel is to be read. */
export function forgetKernel(memory: Memory): void {
  memory.former = memory.believed ?? memory.former
  memory.believed = undefined
}

/** The kernel is to have this; not believed before that is confirmed: after a failure, of whatever kind, it is read. */
export function beginWriting(memory: Memory, picture: KernelPicture): void {
  memory.former = picture
  memory.believed = undefined
}

/** The kernel has the desired program. */
export function confirmWritten(memory: Memory, picture: KernelPicture): void {
  memory.believed = picture
  memory.touched = undefined
  memory.applied = memory.desired
}

/** What is not told yet. */
export function takeDrift(memory: Memory): readonly IpvsFinding[] {
  const told = memory.drift
  memory.drift = []
  return told
}

/** Newest first. */
export function knownPrograms({ desired, applied }: Memory): readonly IpvsProgram[] {
  return [desired, applied].filter((program) => program !== undefined)
}

function mergeTouched(before: Touched, now: Touched): Touched {
  const entries = new Map(before.entries)
  for (const [name, texts] of now.entries) entries.set(name, new Set([...(entries.get(name) ?? []), ...texts]))
  return {
    virtualServers: new Set([...before.virtualServers, ...now.virtualServers]),
    entries,
    addresses: new Set([...before.addresses, ...now.addresses]),
    rules: before.rules || now.rules,
  }
}
