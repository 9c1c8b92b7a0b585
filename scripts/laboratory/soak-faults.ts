// What goes wrong in the soak test, one after the other.
import { spawnSync } from 'node:child_process'
import { type IptablesVariant, toolsOf } from '../../src/sync/variant.ts'
import type { ApiDouble } from './api-double-client.ts'
import { childrenOf, type NodeAgent } from './node-agent.ts'

export interface Soaked {
  readonly agent: NodeAgent
  readonly api: ApiDouble
  readonly variant: IptablesVariant
}

export interface SoakFault {
  readonly name: string
  readonly make: (soaked: Soaked) => void | Promise<void>
  /** To our rules. */
  readonly isDamage?: true
}

export const FAULTS: readonly SoakFault[] = [
  { name: 'watches end', make: ({ api }) => api.trouble({ kind: 'watches', what: 'end' }) },
  { name: 'helper killed', make: ({ agent }) => killHelper(agent) },
  { name: 'connections cut', make: ({ api }) => api.trouble({ kind: 'cut' }) },
  { name: 'nat flushed', make: ({ variant }) => iptables(variant, '-t', 'nat', '-F'), isDamage: true },
  {
    name: 'history compacted',
    make: async ({ api }) => {
      await api.trouble({ kind: 'compact' })
      await api.trouble({ kind: 'watches', what: 'end' })
    },
  },
  {
    name: 'jump removed',
    make: ({ variant }) => iptables(variant, '-t', 'nat', '-D', 'PREROUTING', '1'),
    isDamage: true,
  },
  {
    name: 'server errors',
    make: async ({ api }) => {
      await api.trouble({ kind: 'next requests', count: 2, fault: { kind: 'status', code: 503 } })
      await api.trouble({ kind: 'next requests', count: 1, fault: { kind: 'status', code: 429, retryAfter: 1 } })
      await api.trouble({ kind: 'next requests', count: 1, fault: { kind: 'cut' } })
      await api.trouble({ kind: 'watches', what: 'cut' })
    },
  },
  { name: 'tool killed', make: ({ agent }) => killTool(agent) },
]

function killHelper(agent: NodeAgent): void {
  for (const pid of childrenOf(agent.pid)) process.kill(pid, 'SIGKILL')
}

/** If one runs at this moment. */
function killTool(agent: NodeAgent): void {
  for (const helper of childrenOf(agent.pid)) for (const pid of childrenOf(helper)) process.kill(pid, 'SIGKILL')
}

function iptables(variant: IptablesVariant, ...args: readonly string[]): void {
  spawnSync(toolsOf(variant, 'ipv4').run, ['-w', '60', ...args])
}
