// What the bare tools of IPVS mode take for the content of a program.
import type { Hands } from '../../src/host/hands.ts'
import { printNodeRestore } from '../../src/ipvs/print-node.ts'
import type { IpvsProgram } from '../../src/ipvs/program.ts'
import { showState } from '../../src/ipvs/shown-state.ts'

/** Milliseconds of one process each. */
export interface WholeFloors {
  readonly ipset: number
  readonly iptables: number
  readonly addresses: number
  readonly ipvsadm: number
}

type Tools = Pick<Hands, 'run'>

const TIMEOUT_MS = 600_000

/** Leaves the content in the kernel. */
export async function measureFloors(hands: Tools, program: IpvsProgram): Promise<WholeFloors> {
  const texts = new Map(printNodeRestore([showState(program)]).map(({ name, text }) => [name, text]))
  const time = async (argv: readonly [string, ...string[]], name: string) => {
    const stdin = texts.get(name) ?? ''
    const started = performance.now()
    await hands.run({ argv, stdin, timeoutMs: TIMEOUT_MS })
    return performance.now() - started
  }
  const ipset = await time(['ipset', 'restore'], 'ipset-restore')
  const iptables = await time(['iptables-restore', '--noflush', '--counters'], 'iptables-restore')
  const addresses = await time(['ip', '-batch', '-'], 'kube-ipvs0-addresses-restore')
  const ipvsadm = await time(['ipvsadm', '-R'], 'ipvsadm-restore')
  return { ipset, iptables, addresses, ipvsadm }
}
