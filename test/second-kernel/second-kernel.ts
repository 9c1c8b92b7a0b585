// Runs a program of the tests in the second kernel (scripts/second-kernel/kernel-run).
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

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

/** Why the second kernel can't be had here, and what to do about it; undefined when it can. */
export function whatSecondKernelLacks(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'user-mode Linux needs Linux on x64'
  const missing = NEEDED.filter(([command]) => !FOLDERS.some((folder) => existsSync(path.join(folder, command))))
  if (missing.length > 0) return `apt-get install ${missing.map(([, debianPackage]) => debianPackage).join(' ')}`
  const { status, stderr } = spawnSync(KERNEL_RUN, ['-t', '30', '--', 'true'], { encoding: 'utf8', cwd: PROJECT })
  return status === 0 ? undefined : `the kernel does not start: ${stderr}`
}

export interface SecondKernelProgram {
  /** A file of the tests, which Node runs, and its arguments. */
  readonly file: string
  readonly args: readonly string[]
  /** Modules to load before; all others load when they are first used. */
  readonly modules: readonly string[]
  readonly megabytes: number
  readonly seconds: number
}

/** What the program wrote on its standard output. Rejects when it failed, with what it wrote on its standard error. */
export function runInSecondKernel({ file, args, modules, megabytes, seconds }: SecondKernelProgram): Promise<string> {
  const options = ['-m', String(megabytes), '-t', String(seconds), ...modules.flatMap((name) => ['-p', name])]
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
