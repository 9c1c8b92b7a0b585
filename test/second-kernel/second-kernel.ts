// Runs a program of the tests in the second kernel (scripts/second-kernel/kernel-run).
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

const PROJECT = path.join(import.meta.dirname, '../..')
const KERNEL_RUN = path.join(PROJECT, 'scripts/second-kernel/kernel-run')
/** Commands that it needs, each with Debian's package. */
const NEEDED = [
  ['linux.uml', 'user-mode-linux'],
  ['kmod', 'kmod'],
  ['ip', 'iproute2'],
  ['iptables-legacy-restore', 'iptables'],
  ['python3', 'python3-minimal'],
] as const
const FOLDERS = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/sbin', '/usr/bin']

/** What only some tests need. */
export const IPVS_TOOLS: readonly NeededTool[] = [
  ['ipvsadm', 'ipvsadm'],
  ['ipset', 'ipset'],
]

export type NeededTool = readonly [command: string, debianPackage: string]

/** Why the second kernel can't be had here, and what to do about it; undefined when it can. */
export function whatSecondKernelLacks(more: readonly NeededTool[] = []): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'user-mode Linux needs Linux on x64'
  const missing = [...NEEDED, ...more].filter(
    ([command]) => !FOLDERS.some((folder) => existsSync(path.join(folder, command))),
  )
  if (missing.length > 0) return `apt-get install ${missing.map(([, debianPackage]) => debianPackage).join(' ')}`
  const { status, stderr } = spawnSync(KERNEL_RUN, ['-t', '30', '--', 'true'], { encoding: 'utf8', cwd: PROJECT })
  return status === 0 ? undefined : `the kernel does not start: ${stderr}`
}

/**
 * What is lacking for these tests, as `whatSecondKernelLacks` says. They are then to be skipped, which is printed; in CI,
 * where CI=true, a test of its own fails.
 */
export function skipOrFail(what: string, more: readonly NeededTool[]): string | undefined {
  const lacking = whatSecondKernelLacks(more)
  if (lacking !== undefined) process.stderr.write(`SKIPPED: ${what}: ${lacking}\n`)
  test.runIf(process.env['CI'] === 'true')(`${what}: tested in CI`, () => {
    expect(lacking).toBeUndefined()
  })
  return lacking
}

export interface SecondKernelProgram {
  /** A file of the tests, which Node runs, and its arguments. */
  readonly file: string
  readonly args: readonly string[]
  /** Modules to load before; all others load when they are first used. */
  readonly modules: readonly string[]
  /** Kernels that run at once have different numbers, and so different CPUs; any when absent. */
  readonly cpu?: number
  readonly megabytes: number
  readonly seconds: number
}

/** What the program wrote on its standard output. Rejects when it failed, with what it wrote on its standard error. */
export function runInSecondKernel({
  file,
  args,
  modules,
  cpu,
  megabytes,
  seconds,
}: SecondKernelProgram): Promise<string> {
  const cpuOption = cpu === undefined ? [] : ['-c', String(cpu)]
  const options = [
    '-m',
    String(megabytes),
    '-t',
    String(seconds),
    ...cpuOption,
    ...modules.flatMap((name) => ['-p', name]),
  ]
  return new Promise((resolve, reject) => {
    execFile(
      KERNEL_RUN,
      [...options, '--', process.execPath, file, ...args],
      { cwd: PROJECT, maxBuffer: 100_000_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(new Error(`${path.basename(file)} in the second kernel: ${stderr.trim() || error.message}`))
      },
    )
  })
}
