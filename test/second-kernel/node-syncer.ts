// Keeps one node of the laboratory right with the IPVS syncer itself, step by step, as the agent does it in its own time:
// the helper process and its tools run in the node's network namespace.
import { setTimeout as sleep } from 'node:timers/promises'
import { type SupervisedHands, startHands } from '../../src/host/hands-client.ts'
import type { Family, ProxyConfig } from '../../src/index.ts'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import { showState } from '../../src/ipvs/shown-state.ts'
import { createIpvsSyncer } from '../../src/sync/ipvs/syncer.ts'
import type { TerminationLimits } from '../../src/sync/ipvs/terminations.ts'
import { simulateIpvs } from '../support/simulate-ipvs.ts'
import { factsFor, type Manifest, snapshotFor } from '../traffic/cluster.ts'
import type { Laboratory } from '../traffic/laboratory.ts'
import { rememberRules } from '../traffic/simulated.ts'

export interface NodeSyncer extends AsyncDisposable {
  /** Brings the node to exactly these objects. */
  sync(...objects: readonly Manifest[]): Promise<void>
  /** Syncs again whenever the syncer wants it, until it wants nothing more. */
  finish(): Promise<void>
  /** Like a restart of the agent: the next sync is that of a new process. */
  restart(): Promise<void>
}

export interface NodeSyncerOptions {
  readonly lab: Laboratory
  readonly node: number
  readonly family: Family
  readonly config?: Partial<ProxyConfig>
  readonly termination?: Partial<TerminationLimits>
}

const NEVER = new AbortController().signal

export async function startNodeSyncer(options: NodeSyncerOptions): Promise<NodeSyncer> {
  const { lab, node, family, config = {}, termination } = options
  const { pid } = lab.node(node)
  const start = async () => {
    const hands = await startHands({ inside: ['nsenter', '--net', '--target', String(pid)] })
    const syncer = createIpvsSyncer({
      hands,
      family,
      variant: 'legacy',
      now: () => performance.now(),
      device: 'kube-ipvs0',
      ...(termination && { termination }),
    })
    return { hands, syncer }
  }
  let running: { readonly hands: SupervisedHands; readonly syncer: ReturnType<typeof createIpvsSyncer> } = await start()
  let program: ReturnType<ReturnType<typeof createIpvsCompiler>> | undefined
  const bring = async () => {
    if (program === undefined) throw new Error('nothing is desired yet')
    return running.syncer.sync(program, NEVER)
  }
  return {
    sync: async (...objects) => {
      const snapshot = snapshotFor(objects)
      const { config: whole, facts } = factsFor(snapshot, node, config)
      program = createIpvsCompiler(whole, facts, family)(snapshot)
      await bring()
      const state = showState(program)
      rememberRules(lab, family, node, (network) => simulateIpvs(state, network))
    },
    finish: async () => {
      for (;;) {
        const { retryInMs } = await bring()
        if (retryInMs === undefined) return
        await sleep(retryInMs)
      }
    },
    restart: async () => {
      await running.hands.close()
      running = await start()
    },
    [Symbol.asyncDispose]: () => running.hands.close(),
  }
}
