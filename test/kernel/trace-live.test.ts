// `sluice trace --live` in a network namespace of its own.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { missingInNamespace } from '../support/namespace.ts'
import { createNetworkNamespace } from '../support/network-namespace.ts'

const MAIN = path.join(import.meta.dirname, '..', '..', 'src', 'main.ts')
const lacks = missingInNamespace('iptables-restore --version && setpriv --version')
const rules = readFileSync(path.join(GOLDEN_ROOT, 'own/node-port/iptables/iptables-save'), 'utf8')
  // Counters would have to be made first.
  .replaceAll(/ -m nfacct --nfacct-name {2}\S+/g, '')

describe.skipIf(lacks !== undefined)('trace --live', () => {
  test('reads rules, interfaces and addresses of this machine, and changes nothing', async () => {
    const namespace = await createNetworkNamespace()
    try {
      const setUp =
        'ip link set lo up; ip link add eth0 type veth peer name eth1; ip address add 192.168.1.63/24 dev eth0; ip link set eth0 up'
      expect(namespace.run(['sh', '-ec', setUp]).status).toBe(0)
      expect(namespace.run(['iptables-restore'], rules).stderr).toBe('')
      const before = namespace.run(['iptables-nft-save']).stdout
      const ended = namespace.run([process.execPath, MAIN, 'trace', '--live', 'tcp 198.51.100.7 -> 192.168.1.63:30080'])
      expect(ended.stderr).toContain('live:')
      expect(ended.stdout).toContain(
        '=> dnat: shop/web:http at 10.244.1.5:8080 50%, 10.244.2.5:8080 50%; the server sees 192.168.1.63 (masqueraded)',
      )
      expect(ended.status).toBe(0)
      const withoutStamps = (text: string) => text.replaceAll(/^#.*$/gm, '')
      expect(withoutStamps(namespace.run(['iptables-nft-save']).stdout)).toBe(withoutStamps(before))
    } finally {
      await namespace.close()
    }
  })

  test('says what to do without the rights', async () => {
    const namespace = await createNetworkNamespace()
    try {
      const unprivileged = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs']
      const ended = namespace.run([
        ...unprivileged,
        process.execPath,
        MAIN,
        'trace',
        '--live',
        'tcp 10.0.0.1 -> 10.0.0.2:80',
      ])
      expect(ended.stderr).toMatch(/--live: iptables\S*-save may not read the kernel's rules: run sluice as root/)
      expect(ended.status).toBe(2)
    } finally {
      await namespace.close()
    }
  })
})
