// What a kernel holds, as tests of whole daemons compare it; and how they wait for it.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { canonicalise, parseSave, printSave } from '../../src/index.ts'
import { FAMILIES, type Family } from '../../src/model/address.ts'
import type { DaemonPlace } from './daemon-place.ts'
import { missingInNamespace } from './namespace.ts'

export const SAVE_TOOL: Readonly<Record<Family, string>> = { ipv4: 'iptables-save', ipv6: 'ip6tables-save' }
export const RUN_TOOL: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' }

/** Why no daemon can be tried here; undefined when it can. */
export function missingForDaemon(): string | undefined {
  return missingInNamespace('iptables-save -t nat; ip6tables-save -t nat; ip link add b0 type bridge')
}

/** The rules of a kernel in canonical form; empty where there are none of ours. */
export async function canonicalRules(place: DaemonPlace, family: Family): Promise<string> {
  return printSave(canonicalise(parseSave(await place.must([SAVE_TOOL[family]]), family).ruleset))
}

/** Both families, by name of the tool. */
export async function bothRules(place: DaemonPlace): Promise<Readonly<Record<string, string>>> {
  const texts = await Promise.all(FAMILIES.map((family) => canonicalRules(place, family)))
  return Object.fromEntries(FAMILIES.map((family, index) => [SAVE_TOOL[family], texts[index] ?? '']))
}

/** Everything the kernel holds, without counters and times. */
export async function wholeRules(place: DaemonPlace): Promise<string> {
  const texts = await Promise.all(FAMILIES.map((family) => place.must([SAVE_TOOL[family]])))
  return texts
    .join('')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/ \[\d+:\d+\]$/gm, '')
}

/** Reads again and again until it is as expected; fails with the difference when it never is. */
export async function eventually<T>(read: () => T | Promise<T>, expected: T, withinMs = 60_000): Promise<void> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await read()
    if (deepEqual(found, expected)) return
    if (performance.now() > deadline) {
      expect(found).toEqual(expected)
      return
    }
    await sleep(100)
  }
}

function deepEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** TCP ports that somebody listens on, but for `own`. */
export async function listeningPorts(place: DaemonPlace, own: number): Promise<readonly number[]> {
  const tables = await Promise.all(['/proc/self/net/tcp', '/proc/self/net/tcp6'].map((file) => place.read(file)))
  const ports = tables
    .flatMap((text) => text.split('\n'))
    .map((line) => /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /.exec(line)?.[1])
    .filter((port) => port !== undefined)
    .map((port) => Number.parseInt(port, 16))
    .filter((port) => port !== own)
  return [...new Set(ports)].toSorted((a, b) => a - b)
}
