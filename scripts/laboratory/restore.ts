// The tools by themselves: what it takes to bring rules into the kernel without anybody who decides which.
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { diffKernel } from '../../src/iptables/diff-kernel.ts'
import { NO_TABLES } from '../../src/iptables/kernel-text.ts'
import { listWhenLarge, NEVER_LIST, printRestorePayload } from '../../src/iptables/restore-payload.ts'
import { type IptablesVariant, toolsOf } from '../../src/sync/variant.ts'
import { monotonicMs } from './clock.ts'
import { compileFor } from './kernel-state.ts'

/** The lines of `iptables-save -t TABLE`. */
export function readTable(variant: IptablesVariant, table: string): readonly string[] {
  return run([toolsOf(variant, 'ipv4').save, '-t', table], '').split('\n')
}

/** Milliseconds of `iptables-restore --noflush` for the payload, which comes from a file as it does from sluice. */
export function timeRestore(variant: IptablesVariant, payload: string): number {
  const file = `/tmp/sluice-bench-payload-${process.pid}`
  writeFileSync(file, payload)
  const started = monotonicMs()
  run(['sh', '-c', `exec ${toolsOf(variant, 'ipv4').restore} -w 5 --noflush --counters < ${file} > /dev/null`], '')
  const took = monotonicMs() - started
  rmSync(file)
  return took
}

/** Empties the tables, of everybody's rules and chains. */
export function clearTables(variant: IptablesVariant): void {
  for (const family of ['ipv4', 'ipv6'] as const) {
    run([toolsOf(variant, family).restore], '*nat\nCOMMIT\n*filter\nCOMMIT\n*mangle\nCOMMIT\n')
  }
}

/** Takes all rules away and leaves the chains, as `iptables -F` does. */
export function flushTables(variant: IptablesVariant): void {
  for (const table of ['nat', 'filter', 'mangle']) run([toolsOf(variant, 'ipv4').run, '-t', table, '-F'], '')
}

/**
 * The payload for a kernel without rules of ours, as the agent writes it. The order of the chains counts: with the same
 * chains in the order of iptables-save, iptables-nft takes four times as long for 2,000 Services.
 */
export function wholePayload(variant: IptablesVariant, objects: readonly object[]): string {
  const { stdout } = spawnSync(toolsOf(variant, 'ipv4').save, { encoding: 'utf8', maxBuffer: 1e9 })
  const change = diffKernel(compileFor(objects, stdout), NO_TABLES)
  const { blocks } = printRestorePayload(change, variant === 'legacy' ? NEVER_LIST : listWhenLarge(() => 0))
  return Buffer.concat(blocks).toString()
}

/** The lines that rewrite these chains as they are. */
export function chainsPayload(saved: readonly string[], chains: readonly string[]): string {
  const heads = chains.map((chain) => `:${chain} - [0:0]`)
  return ['*nat', ...heads, ...rulesOf(saved, chains), 'COMMIT', ''].join('\n')
}

export function rulesOf(saved: readonly string[], chains: readonly string[]): readonly string[] {
  const wanted = new Set(chains)
  return saved.filter((line) => line.startsWith('-A ') && wanted.has(line.split(' ', 2)[1] ?? ''))
}

/** The chains of a ClusterIP Service: its own first, then those of its endpoints. */
export function chainsOfService(saved: readonly string[], clusterIP: string): readonly string[] {
  const rule = saved.find((line) => line.startsWith(`-A KUBE-SERVICES -d ${clusterIP}/32`))
  const service = / -j (KUBE-\S+)/.exec(rule ?? '')?.[1]
  if (service === undefined) throw new Error(`no rule leads to ${clusterIP}`)
  const endpoints = rulesOf(saved, [service]).flatMap((line) => / -j (KUBE-SEP-\S+)/.exec(line)?.[1] ?? [])
  return [service, ...endpoints]
}

function run([program = '', ...args]: readonly string[], input: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8', maxBuffer: 1e9 })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr ?? ''} ${error?.message ?? ''}`)
  return stdout
}
