// Another program that keeps its own rules in the tables that sluice writes to, as a CNI plugin does: a process that
// adds, moves and removes rules and chains again and again, and knows what it should find.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { NetworkNamespace } from './network-namespace.ts'

export interface ForeignWriter {
  /** Changes made so far. */
  readonly writes: number
  /** What it did not find as it had left it, or could not write. */
  readonly complaints: readonly string[]
  /** Ends it; resolves with the rules that must be there, in order, each as iptables-save prints it. */
  stop(): Promise<readonly string[]>
}

export interface WriterOptions {
  readonly variant: 'nft' | 'legacy'
  /** Seconds between writes, as `sleep` takes them; 0: a tight loop. */
  readonly pause: string
  readonly env: NodeJS.ProcessEnv
}

/** Rules that never change, and must stay in this order. */
const LASTING = [
  ['nat', 'PREROUTING', '-d 192.0.2.1/32'],
  ['nat', 'OUTPUT', '-d 192.0.2.2/32'],
  ['nat', 'POSTROUTING', '-d 192.0.2.3/32'],
  ['filter', 'FORWARD', '-d 192.0.2.4/32'],
] as const

/**
 * In a turn of 4: a chain of its own with a rule, a rule at the top of a base chain that leads there, the same rule moved
 * to the end, and all of it removed. Each step is its own command, and it prints a line for each.
 */
function script({ variant, pause }: WriterOptions): string {
  const tool = `iptables-${variant} -w 60`
  const lasting = LASTING.map(([table, chain, match]) => {
    const rule = `${chain} ${match} -j ACCEPT`
    return `${tool} -t ${table} -C ${rule} 2>/dev/null || ${tool} -t ${table} -A ${rule}`
  })
  return `
say() { echo "complaint: $*"; }
did() { echo "write"; ${pause === '0' ? ':' : `sleep ${pause}`}; }
run() { answer=$("$@" 2>&1) || say "$* -> $answer"; }
${lasting.join('\n')}
trap 'stopping=1' TERM
echo ready
turn=0
while [ -z "$stopping" ]; do
  for table in nat filter; do
    [ $table = nat ] && base=PREROUTING || base=FORWARD
    turn=$((turn + 1))
    ip=198.51.100.$((turn % 250))
    run ${tool} -t $table -N FOREIGN; did
    run ${tool} -t $table -A FOREIGN -s $ip -j RETURN; did
    run ${tool} -t $table -I $base -s $ip -j FOREIGN; did
    run ${tool} -t $table -C FOREIGN -s $ip -j RETURN
    run ${tool} -t $table -D $base -s $ip -j FOREIGN; did
    run ${tool} -t $table -A $base -s $ip -j FOREIGN; did
    run ${tool} -t $table -C $base -s $ip -j FOREIGN
    run ${tool} -t $table -D $base -s $ip -j FOREIGN; did
    run ${tool} -t $table -F FOREIGN; did
    run ${tool} -t $table -X FOREIGN; did
  done
done
`
}

export async function startForeignWriter(here: NetworkNamespace, options: WriterOptions): Promise<ForeignWriter> {
  const [program = '', ...args] = here.prefix
  const child = spawn(program, [...args, 'bash', '-c', script(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: options.env,
  })
  const complaints: string[] = []
  let writes = 0
  const ready = Promise.withResolvers<void>()
  createInterface(child.stdout).on('line', (line) => {
    if (line === 'ready') ready.resolve()
    else if (line === 'write') writes += 1
    else complaints.push(line)
  })
  createInterface(child.stderr).on('line', (line) => complaints.push(line))
  child.on('exit', () => ready.reject(new Error(`the foreign writer ended: ${complaints.join('\n')}`)))
  await ready.promise
  const closed = once(child, 'close')
  return {
    get writes() {
      return writes
    },
    complaints,
    stop: async () => {
      child.kill('SIGTERM')
      await closed
      return LASTING.map(([, chain, match]) => `-A ${chain} ${match} -j ACCEPT`)
    },
  }
}
