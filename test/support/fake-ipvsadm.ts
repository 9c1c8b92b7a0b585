// ipvsadm on virtual servers in memory: it does and says what the real one does, which a test in the second kernel holds.
import type { CommandResult } from '../../src/host/exec.ts'
import { parseIp } from '../../src/model/address.ts'

export interface FakeServer {
  /** `-s rr -p 300` */
  options: string
  /** By `10.0.0.1:80`: `-m`, weight and connections. */
  readonly reals: Map<string, FakeReal>
}

export interface FakeReal {
  forward: string
  weight: number
  connections: number
}

const SCHEDULERS = ['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'sh', 'mh', 'dh', 'sed', 'nq', 'fo', 'ovf']

export function runIpvsadm(
  args: string,
  stdin: string,
  servers: Map<string, FakeServer>,
  refuses: (line: string) => boolean,
): CommandResult {
  if (args === '-Sn') return said(printServers(servers))
  if (args === '-Ln') return said(listServers(servers))
  if (args.startsWith('-Ln ')) {
    const name = args.slice('-Ln '.length)
    const server = servers.get(name)
    return server === undefined
      ? { stdout: '', stderr: 'No such service\n', exitCode: 1 }
      : said(listServers(new Map([[name, server]])))
  }
  let stderr = ''
  let exitCode = 0
  for (const line of stdin.split('\n')) {
    if (line === '') continue
    const problem = refuses(line) ? 'Memory allocation problem' : changeServer(line, servers)
    exitCode = 0
    if (problem === undefined) continue
    stderr += `${problem}\n`
    exitCode = 255
    if (problem.startsWith('illegal')) return { stdout: '', stderr, exitCode: 2 }
  }
  return { stdout: '', stderr, exitCode }
}

/** What the kernel says against it. */
function changeServer(line: string, servers: Map<string, FakeServer>): string | undefined {
  const [, command, flag, at, rest = ''] = /^-([AEDaed]) (-[tuf]|--sctp-service) (\S+)(?: (.*))?$/.exec(line) ?? []
  const name = `${flag} ${at}`
  if (command === undefined || (flag !== '-f' && !isEndpoint(at)))
    return 'illegal virtual server address[:port] specified'
  const server = servers.get(name)
  if ('AE'.includes(command)) {
    const scheduler = /^-s (\S+)/.exec(rest)?.[1] ?? ''
    if (command === 'A' && server !== undefined) return 'Service already exists'
    if (command === 'E' && server === undefined) return 'No such service'
    if (!SCHEDULERS.includes(scheduler)) return 'Scheduler or persistence engine not found'
    if (server === undefined) servers.set(name, { options: rest, reals: new Map() })
    else server.options = rest
    return undefined
  }
  if (command === 'D') return servers.delete(name) ? undefined : 'No such service'
  if (server === undefined) return 'Service not defined'
  return changeReal(command, rest, server)
}

function changeReal(command: string, rest: string, { reals }: FakeServer): string | undefined {
  const [, real = '', forward = '-m', weight = '1'] = /^-r (\S+)(?: (-[mgi]))?(?: -w (\d+))?/.exec(rest) ?? []
  if (!isEndpoint(real)) return 'illegal real server address[:port] specified'
  const known = reals.get(real)
  if (command === 'a') {
    if (known !== undefined) return 'Destination already exists'
    reals.set(real, { forward, weight: Number(weight), connections: 0 })
    return undefined
  }
  if (known === undefined) return 'No such destination'
  if (command === 'd') reals.delete(real)
  else Object.assign(known, { forward, weight: Number(weight) })
  return undefined
}

function isEndpoint(text: string | undefined): boolean {
  const [, ip = '', port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(text ?? '') ?? []
  return parseIp(ip) !== undefined && Number(port) <= 65_535
}

function printServers(servers: ReadonlyMap<string, FakeServer>): string {
  let text = ''
  for (const [name, { options, reals }] of servers) {
    text += `-A ${name} ${options}\n`
    for (const [real, { forward, weight }] of reals) text += `-a ${name} -r ${real} ${forward} -w ${weight}\n`
  }
  return text
}

const PROTOCOLS: Readonly<Record<string, string>> = { '-t': 'TCP', '-u': 'UDP', '--sctp-service': 'SCTP', '-f': 'FWM' }

function listServers(servers: ReadonlyMap<string, FakeServer>): string {
  let text =
    'Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n'
  for (const [name, { options, reals }] of servers) {
    const [flag = '', at = ''] = name.split(' ')
    text += `${PROTOCOLS[flag]}  ${at} ${options.split(' ')[1]}\n`
    for (const [real, { weight, connections }] of reals) {
      text += `  -> ${real.padEnd(28)} Masq    ${String(weight).padEnd(6)} ${String(connections).padEnd(10)} 0         \n`
    }
  }
  return text
}

function said(stdout: string): CommandResult {
  return { stdout, stderr: '', exitCode: 0 }
}
