// An IpvsProgram -> the whole picture of it, from scratch.
import { createIpvsLinker } from './linker.ts'
import type { IpvsProgram, IpvsState } from './program.ts'

/** Everything that the program wants in the kernel. */
export function linkIpvs(program: IpvsProgram): IpvsState {
  return createIpvsLinker()(program).state
}
