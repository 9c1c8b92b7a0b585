// Where whole `sluice run` processes are tried in IPVS mode, in the second kernel: their files, their processes, and what
// the kernel holds, in the canonical forms of the recorded cases.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { canonicalise, parseSave, printSave } from '../../src/index.ts'
import { parseIpsetSave } from '../../src/ipset/parse.ts'
import { printIpsetSave } from '../../src/ipset/print.ts'
import { parseIpvsadmSave } from '../../src/ipvs/parse.ts'
import { printIpvsadmSave } from '../../src/ipvs/print.ts'
import { type DaemonEnd, type DaemonProcess, startDaemon } from '../support/daemon-process.ts'

export interface Stage {
  /** Runs a script of the shell there. Throws when it fails. */
  readonly sh: (script: string) => string
  /** A new file; returns its path. */
  readonly write: (name: string, content: string) => string
  /** Makes the folder of manifests hold exactly this, all at once. */
  readonly manifests: (text: string) => void
  /** Starts `sluice run` with these arguments; `inside`: words before the command line. */
  readonly sluice: (args: readonly string[], inside?: readonly string[]) => DaemonProcess
  /** The same, of the manifests and this configuration. */
  readonly agent: (config: string, ...args: readonly string[]) => DaemonProcess
  /** Runs `sluice run` to its end. */
  readonly end: (args: readonly string[], inside?: readonly string[]) => Promise<DaemonEnd>
  readonly close: () => Promise<void>
}

/** `pid`: of a process in the network namespace that is meant, when it is not this one's. */
export function openStage(program: string, pid?: number): Stage {
  const folder = mkdtempSync(path.join(tmpdir(), 'ipvs-stage-'))
  mkdirSync(path.join(folder, 'manifests'))
  const prefix = pid === undefined ? [] : ['nsenter', '--net', '--target', String(pid)]
  const env = {
    ...process.env,
    XTABLES_LOCKFILE: path.join(folder, 'xtables.lock'),
    // A third less time to start, and there are many starts.
    NODE_COMPILE_CACHE: path.join(folder, 'compiled'),
  }
  const started: DaemonProcess[] = []
  let configs = 0
  const write = (name: string, content: string) => {
    const file = path.join(folder, name)
    writeFileSync(file, content)
    return file
  }
  const sluice: Stage['sluice'] = (args, inside = []) => {
    const words = [process.execPath, program, 'run', '--iptables-variant', 'legacy', ...args]
    const daemon = startDaemon([...prefix, ...inside, ...words], env)
    started.push(daemon)
    return daemon
  }
  return {
    sh: (script) => {
      const [file, ...args] = [...prefix, 'sh', '-ec', script]
      return execFileSync(file, args, {
        encoding: 'utf8',
        env,
        maxBuffer: 100_000_000,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    },
    write,
    manifests: (text) => renameSync(write('half.yaml', text), path.join(folder, 'manifests', 'cluster.yaml')),
    sluice,
    agent: (config, ...args) => {
      const file = write(`config-${(configs += 1)}.yaml`, config)
      return sluice(['-f', path.join(folder, 'manifests'), '--config', file, '--logging-format', 'json', ...args])
    },
    end: (args, inside) => sluice(args, inside).ended,
    close: async () => {
      await Promise.all(started.map((each) => each.end()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What the kernel holds, by the file of a recorded case that it is to be equal to. */
export type KernelTexts = Readonly<Record<string, string>>

const CANONICAL: Readonly<Record<string, (text: string) => string>> = {
  'iptables-save': (text) => printSave(canonicalise(parseSave(text, 'ipv4').ruleset)),
  'ip6tables-save': (text) => printSave(canonicalise(parseSave(text, 'ipv6').ruleset)),
  'ipset-save': (text) => printIpsetSave(parseIpsetSave(text).sets.values()),
  'ipvsadm-save': (text) => printIpvsadmSave(parseIpvsadmSave(text).services),
  'kube-ipvs0-addresses': (text) => {
    const lines = [...text.matchAll(/ inet6? (\S+)/g)].map(([, address]) => `${address}\n`)
    return lines.toSorted().join('')
  },
}

export const KERNEL_FILES: readonly string[] = Object.keys(CANONICAL)

/** In one process of the shell, because each takes its time there. Without the device there are no addresses. */
export function readKernel({ sh }: Pick<Stage, 'sh'>): KernelTexts {
  const shown = sh(`
    echo @@ iptables-save; iptables-save
    echo @@ ip6tables-save; ip6tables-save
    echo @@ ipset-save; ipset save
    echo @@ ipvsadm-save; ipvsadm -Sn
    echo @@ kube-ipvs0-addresses; ip -oneline address show dev kube-ipvs0 2>/dev/null || true`)
  const parts = shown.split(/^@@ /m).slice(1)
  return Object.fromEntries(
    parts.map((part) => {
      const end = part.indexOf('\n')
      const name = part.slice(0, end)
      return [name, CANONICAL[name]?.(part.slice(end + 1)) ?? '']
    }),
  )
}

/** Throws with the lines that differ. */
export function expectSame(what: string, actual: string, expected: string): void {
  if (actual === expected) return
  const [found, wanted] = [actual.split('\n'), expected.split('\n')]
  const more = found.filter((line) => !wanted.includes(line)).slice(0, 10)
  const less = wanted.filter((line) => !found.includes(line)).slice(0, 10)
  throw new Error(`${what}: too much ${JSON.stringify(more)}, missing ${JSON.stringify(less)}`)
}

export function expectKernel(stage: Pick<Stage, 'sh'>, expected: KernelTexts): void {
  const texts = readKernel(stage)
  for (const [name, text] of Object.entries(expected)) expectSame(name, texts[name] ?? '', text)
}

/**
 * Tries until it does not throw, now and then only, because there is one processor for all. @throws what it threw last, when
 * ten minutes are over: other kernels may take nearly all of the processor.
 */
export async function soon<T>(attempt: () => T | Promise<T>): Promise<T> {
  const end = performance.now() + 600_000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > end) throw error
    }
    await sleep(500)
  }
}

/** Resolves when both families have synced as often as this. */
export async function synced(agent: DaemonProcess, times = 1): Promise<void> {
  const families = ['IPv4', 'IPv6']
  await Promise.all(
    families.map((family) => {
      const line = `"family":"${family}"[^\\n]*(?:synced rules|rules are as they should be)"`
      return agent.logged(new RegExp(`(?:${line}[^]*){${times}}`))
    }),
  )
}

export function expectMatch(what: string, text: string, pattern: RegExp | string): void {
  const matches = typeof pattern === 'string' ? text.includes(pattern) : pattern.test(text)
  if (!matches) throw new Error(`${what} lacks ${String(pattern)}:\n${text}`)
}

export function expectNoMatch(what: string, text: string, pattern: RegExp): void {
  if (pattern.test(text)) throw new Error(`${what} has ${String(pattern)}:\n${text}`)
}
