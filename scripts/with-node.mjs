// Runs a command with a Node that sluice supports: the running one, or the one that npm installed beside the project.
// Plain JavaScript for old Nodes, because this is the file that an old Node starts.
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST = [22, 18]

/** Whether this process already runs on a Node that sluice supports. */
export function isSupported(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number)
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
}

/** The folder of the pinned Node's program, searched upwards as Node resolves packages; undefined when it is not installed. */
function pinnedNodeFolder() {
  const parts = ['node_modules', `node-${process.platform}-${process.arch}`, 'bin']
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, ...parts)
    if (existsSync(path.join(candidate, 'node'))) return candidate
    if (folder === path.dirname(folder)) return undefined
  }
}

/** Runs `command` with a supported Node first on PATH, and ends this process as the command ended. */
export function runWithSupportedNode(command, args) {
  const folder = isSupported() ? path.dirname(process.execPath) : pinnedNodeFolder()
  if (folder === undefined) {
    process.stderr.write(
      `sluice needs Node ${OLDEST.join('.')} or newer and this is ${process.versions.node}; install Node 24, or run 'npm ci' without --omit=optional, which brings one along on Linux x64 and arm64.\n`,
    )
    process.exit(2)
  }
  const localCommands = fileURLToPath(new URL('../node_modules/.bin', import.meta.url))
  const child = spawn(command === 'node' ? path.join(folder, 'node') : command, args, {
    stdio: 'inherit',
    env: { ...process.env, PATH: [folder, localCommands, process.env.PATH].join(path.delimiter) },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`${command} did not start: ${error.message}\n`)
    process.exit(2)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [command, ...args] = process.argv.slice(2)
  runWithSupportedNode(command ?? 'node', args)
}
