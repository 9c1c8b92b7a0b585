// What netlink says is compared with what `ip` and `nfacct` say, and that in a network namespace of our own, where the
// test decides which addresses there are.
import { execFile, execFileSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { knowsRandomFully, type LiveHost, readLiveHost } from '../../src/host/live-host.ts'
import { type Ip, parseIp } from '../../src/model/address.ts'
import { formatIssue } from '../../src/model/issue.ts'

const MODULE = fileURLToPath(new URL('../../src/host/live-host.ts', import.meta.url))
const PRINT = `import { readLiveHost } from ${JSON.stringify(MODULE)}
console.log(JSON.stringify(await readLiveHost()))`

const NAMESPACE = namespaceCommand()

/** How to get a network namespace here; undefined where users may not have one. */
function namespaceCommand(): readonly string[] | undefined {
  const commands = [
    ['unshare', '--net'],
    ['unshare', '--net', '--map-root-user'],
  ]
  return commands.find((command) => {
    try {
      execFileSync(command[0] ?? '', [...command.slice(1), 'true'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

/** Runs the shell's set-up and then readLiveHost, in a new namespace. */
async function readIn(namespace: readonly string[], setUp: string): Promise<LiveHost> {
  const [program = '', ...words] = namespace
  const script = `set -e; ${setUp}; exec "$0" --input-type=module --eval "$1"`
  const { stdout } = await promisify(execFile)(program, [...words, 'sh', '-c', script, process.execPath, PRINT])
  return JSON.parse(stdout) as LiveHost
}

describe('this machine', () => {
  test('has at least the addresses that Node sees, each once, and a name', async () => {
    const { host } = await readLiveHost()
    const seen = Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).map(({ address }) => parseIp(address)),
    )
    expect(host.addresses).toEqual(expect.arrayContaining(seen))
    expect(new Set(host.addresses).size).toBe(host.addresses.length)
    expect(host.nodeName).toMatch(/^[^\sA-Z]+$/)
  })

  test('is still read when the addon does not load, and what is less known is said', async () => {
    const broken = Promise.reject(new Error('no prebuilt addon\nfor this platform'))
    const { host, issues } = await readLiveHost(() => broken)
    const seen = Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).map(({ address }) => parseIp(address)),
    )
    expect(new Set(host.addresses)).toEqual(new Set(seen))
    expect(host.features.nfacct).toBe(true)
    expect(issues.map(({ severity }) => severity)).not.toContain('error')
    expect(issues.map(formatIssue)).toEqual(
      expect.arrayContaining([
        "this host: interfaces: netlink can't be used (Error: no prebuilt addon), so addresses of interfaces that are down are not known",
        "this host: features.nfacct: could not be probed, assumed true: netlink can't be used (Error: no prebuilt addon)",
      ]),
    )
  })
})

describe.skipIf(NAMESPACE === undefined && process.env['CI'] === undefined)('a network namespace of our own', () => {
  const namespace = NAMESPACE ?? ['unshare', '--net']

  test('has the addresses of an interface that is down, and our end of a point-to-point link', async () => {
    const { host } = await readIn(
      namespace,
      `ip link add name br-down type bridge
       ip address add 203.0.113.7/24 dev br-down
       ip address add 2001:db8::7/64 dev br-down
       ip address add 198.51.100.1 peer 198.51.100.2 dev br-down`,
    )
    expect(new Set(host.addresses)).toEqual(new Set<string>(['203.0.113.7', '2001:db8::7', '198.51.100.1']))
  })

  test('has more addresses than fit into one answer of the kernel', async () => {
    const wanted = Array.from({ length: 2_000 }, (_, index) => `10.7.${index >> 8}.${index & 255}` as Ip)
    const { host } = await readIn(
      namespace,
      `ip link add name br0 type bridge
       awk 'BEGIN { for (i = 0; i < 2000; i++) printf "address add 10.7.%d.%d/32 dev br0\\n", i / 256, i % 256 }' | ip -batch -`,
    )
    expect(host.addresses).toEqual(wanted)
  })

  test('is found to have counters exactly when nfacct can make one', async () => {
    const [program = '', ...words] = namespace
    const made = await promisify(execFile)(program, [...words, 'nfacct', 'add', 'sluice-test']).then(
      () => true,
      () => false,
    )
    const { host, issues } = await readIn(namespace, ':')
    expect(host.features.nfacct).toBe(made)
    expect(issues.filter(({ at }) => at.field === 'features.nfacct')).toEqual([])
  })

  test('has liberal connection tracking when its sysctl says so', async () => {
    const path = '/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal'
    expect((await readIn(namespace, `echo 1 > ${path}`)).host.features.tcpBeLiberal).toBe(true)
    expect((await readIn(namespace, `echo 0 > ${path}`)).host.features.tcpBeLiberal).toBe(false)
  })
})

describe('whether iptables knows --random-fully', () => {
  test.each([
    ['iptables v1.8.9 (nf_tables)\n', true],
    ['iptables v1.8.11 (legacy)\n', true],
    ['iptables v1.6.2\n', true],
    ['iptables v1.6.1\n', false],
    ['iptables v1.4.21\n', false],
    ['iptables v1.10.0\n', true],
    ['iptables v2.0\n', true],
    ['ip6tables v1.8.7 (legacy)\n', true],
    ['busybox: applet not found\n', undefined],
    ['', undefined],
  ])('%j: %s', (answer, expected) => {
    expect(knowsRandomFully(answer)).toBe(expected)
  })
})
