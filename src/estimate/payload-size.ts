// The size of what a first sync sends.
import { writePayload } from '../iptables/print-payload.ts'
import type { Program } from '../iptables/program.ts'

/** In bytes, without keeping the text. */
export function printPayloadBytes(program: Program): number {
  return writePayload(program)
    .blocks()
    .reduce((sum, block) => sum + block.length, 0)
}
