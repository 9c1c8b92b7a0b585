// `sluice run --proxy-mode ipvs` on this machine's own kernel, which mostly has no IPVS: it says what is missing, and how to
// get it, before it writes anything.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { missingForDaemon, wholeRules } from '../support/daemon-kernel.ts'
import { type DaemonPlace, openPlace } from '../support/daemon-place.ts'

const missing = missingForDaemon()
const EXAMPLE = path.join(import.meta.dirname, '..', '..', 'examples', 'nginx')
const TOOLS = '/usr/sbin/xtables-* /usr/sbin/ip*tables*'
/** sluice looks into /usr/sbin even if PATH leaves it out. */
const WITHOUT_IPVSADM = [
  'unshare',
  '-m',
  'sh',
  '-ec',
  `folder=$(mktemp -d); mount -t tmpfs none $folder; cp -a ${TOOLS} $folder; mount --move $folder /usr/sbin; rmdir $folder; exec "$@"`,
  'sh',
]
const hasIpvs = spawnSync('unshare', ['-n', 'ipvsadm', '-Sn']).status === 0
const hasTool = spawnSync('ipvsadm', ['--version']).error === undefined

const TIMEOUT = '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established'
const FLAGS = ['--proxy-mode', 'ipvs', '--hostname-override', 'worker-1', '--conntrack-tcp-timeout-established', '2h']

let place: DaemonPlace

describe.skipIf(missing !== undefined)('IPVS mode where IPVS is missing', () => {
  beforeEach(async () => {
    place = await openPlace({ interfaces: { eth0: ['192.168.1.63/24'] } })
  })
  afterEach(() => place[Symbol.asyncDispose]())

  test.skipIf(hasIpvs || !hasTool)('in the kernel', async () => {
    const message =
      'this kernel has no IPVS: load its module (modprobe ip_vs), or use a kernel that was built with CONFIG_IP_VS'
    expect(await refusal([])).toContain(message)
    expect(await refusal(['--dry-run'])).toContain(message)
  })

  test('as a tool', async () => {
    const message = 'IPVS mode needs ipvsadm: install it (Debian: apt-get install ipvsadm)'
    expect(await refusal([], WITHOUT_IPVSADM)).toContain(message)
    expect(await refusal(['--dry-run'], WITHOUT_IPVSADM)).toContain(message)
  })
})

/** What it says when it ends with 1, having written nothing. */
async function refusal(more: readonly string[], inside: readonly string[] = []): Promise<string> {
  const before = await everything()
  const { code, stderr } = await place.daemon(['-f', EXAMPLE, ...FLAGS, '--once', ...more], inside).ended
  expect(code).toBe(1)
  expect(await everything()).toEqual(before)
  return stderr
}

async function everything(): Promise<readonly string[]> {
  return Promise.all([place.read(TIMEOUT), place.must(['ip', '-o', 'link']), wholeRules(place)])
}
