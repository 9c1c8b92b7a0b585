// How Node may use memory, for programs that run beside everything else on a node.
import { setFlagsFromString } from 'node:v8'

/**
 * Keeps the space for new objects at its first size. By default it grows to 48 MB and fills with rules that were printed
 * and let go long ago: rendering 10,000 Services seven times took 360 MiB by default, and with this 250 MiB, for a tenth
 * more time (scripts/bench compile).
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

/**
 * Lets the heap grow by a fifth between collections, where V8 lets it grow to several times what lives in it. For a
 * process that runs for ever and has little to do: `sluice run` with 2,000 Services and 50 changes a second takes 109 MiB
 * with this and 126 without, for the same CPU time.
 */
export function growHeapSlowly(): void {
  setFlagsFromString('--heap-growing-percent=20')
}
