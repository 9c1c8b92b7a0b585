// `sluice run` as a process: its options, its exit codes, what it answers, and what it leaves behind.
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Value } from '../support/api-store.ts'
import { endpointSlice, service } from '../support/cluster-objects.ts'
import { eventually, listeningPorts, missingForDaemon, wholeRules } from '../support/daemon-kernel.ts'
import { type DaemonPlace, openPlace } from '../support/daemon-place.ts'
import type { DaemonEnd } from '../support/daemon-process.ts'
import { HEADER } from '../support/proxy-config-text.ts'

const missing = missingForDaemon()
const NODE = 'node-a'
const EXAMPLE = path.join(import.meta.dirname, '..', '..', 'examples', 'nginx')
/** sluice looks into /usr/sbin even if PATH leaves it out, so it has to be empty. */
const WITHOUT_SBIN = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /usr/sbin && exec "$@"', 'sh']
const FOREIGN = '*nat\n:MINE - [0:0]\n-A POSTROUTING -j MINE\n-A MINE -p udp -j RETURN\nCOMMIT\n'

let place: DaemonPlace

describe.skipIf(missing !== undefined)('sluice run', () => {
  beforeEach(async () => {
    place = await openPlace({ interfaces: { eth0: ['192.168.1.63/24'] } })
    const { store } = place.server
    store.put('nodes', node())
    store.put('services', nodePort())
    store.put('endpointslices', endpointSlice('one-abc', 'one'))
  })
  afterEach(() => place[Symbol.asyncDispose]())

  test('--once leaves the rules and ends with 0', async () => {
    expect(await run('--once')).toMatchObject({ code: 0, stdout: '' })
    expect(await rules()).toContain('--to-destination 10.244.1.5:8080')
  })

  test('-f serves manifests without a cluster, and follows them', async () => {
    const folder = path.join(place.folder.path, 'manifests')
    mkdirSync(folder)
    const write = (port: number) => {
      const object = { apiVersion: 'v1', kind: 'Service', ...nodePort(port) }
      place.folder.write('manifests/service.json', object)
    }
    write(30_080)
    const slice = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', ...endpointSlice('one-abc', 'one') }
    place.folder.write('manifests/slice.json', slice)
    place.daemon(['-f', folder, ...plain()])
    await expectRules(/--dport 30080 -j KUBE-EXT/)
    place.folder.write('manifests/service.json', '{"kind": "Serv')
    await sleep(500)
    expect(await rules()).toMatch(/--dport 30080 -j KUBE-EXT/)
    write(30_081)
    await expectRules(/--dport 30081 -j KUBE-EXT/)
  })

  test('--dry-run prints what would be written, writes nothing, and what it prints can be applied', async () => {
    const { code, stdout } = await run('--dry-run', '--once')
    expect(code).toBe(0)
    expect(await rules()).not.toContain('KUBE')
    expect(await place.read('/proc/sys/net/ipv4/conf/all/route_localnet')).toBe('0\n')
    const [, ipv4 = ''] = /^# ipv4\n((?:(?!# ipv).*\n)*)/m.exec(stdout) ?? []
    expect(ipv4).toContain('--to-destination 10.244.1.5:8080')
    await place.must(['iptables-restore', '--noflush'], ipv4)
    const written = await place.must(['iptables-save'])
    expect((await run('--dry-run', '--once')).stdout).toContain('# ipv4: nothing to do')
    expect(await place.must(['iptables-save'])).toContain(written.split('\n')[4])
  })

  test('--init-only sets what needs privileges, and no rules', async () => {
    expect(await run('--init-only', '--conntrack-tcp-timeout-established', '2h')).toMatchObject({ code: 0 })
    expect(await place.read('/proc/sys/net/ipv4/conf/all/route_localnet')).toBe('1\n')
    const timeout = '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established'
    expect(await place.read(timeout)).toBe('7200\n')
    expect(await rules()).not.toContain('KUBE')
  })

  test('--write-config-to writes the configuration with its defaults, and ends with 0', async () => {
    const file = path.join(place.folder.path, 'written.yaml')
    const ended = await end('--write-config-to', file, '--cluster-cidr', '10.244.0.0/16')
    expect(ended.code).toBe(0)
    expect(readFileSync(file, 'utf8')).toMatch(/clusterCIDR: 10\.244\.0\.0\/16/)
    expect(await end('--config', file, '--kubeconfig', 'ignored', '--dry-run', '--cleanup')).toMatchObject({ code: 0 })
  })

  test('--cleanup removes what is ours and nothing else', async () => {
    await place.must(['iptables-restore', '--noflush'], FOREIGN)
    const before = await rules()
    await run('--once')
    expect(await rules()).toContain('KUBE-SERVICES')
    expect(await end('--cleanup')).toMatchObject({ code: 0 })
    // As kube-proxy does, it leaves KUBE-FIREWALL, which kubelet may have made.
    const left = (await rules()).split('\n').filter((line) => !line.includes('KUBE-FIREWALL'))
    expect(left.filter((line) => line.includes('KUBE'))).toEqual([])
    for (const line of before.split('\n')) expect(left).toContain(line)
  })

  test('SIGTERM ends it with 0, and the rules stay', async () => {
    const daemon = cluster()
    await expectRules(/KUBE-SERVICES/)
    const before = await rules()
    daemon.signal('SIGTERM')
    expect(await daemon.ended).toMatchObject({ code: 0, signal: null })
    expect(await rules()).toBe(before)
  })

  test('a configuration file that is written ends it with 1', async () => {
    const config = place.folder.write('config.yaml', configText())
    const daemon = place.daemon(['--config', config, '--hostname-override', NODE])
    await expectRules(/KUBE-SERVICES/)
    appendFileSync(config, '# changed\n')
    expect(await daemon.ended).toMatchObject({ code: 1 })
    expect(daemon.log()).toContain('config.yaml was written: ending')
    expect(await rules()).toContain('KUBE-SERVICES')
  })

  test('other podCIDRs end it with 1 in NodeCIDR mode', async () => {
    const daemon = cluster('--detect-local-mode', 'NodeCIDR')
    await expectRules(/! -s 10\.244\.1\.0\/24/)
    place.server.store.put('nodes', { ...node(), spec: { podCIDRs: ['10.244.9.0/24'] } })
    expect(await daemon.ended).toMatchObject({ code: 1 })
    expect(daemon.log()).toContain('podCIDRs of Node node-a changed')
  })

  test('another zone of the Node changes the rules', async () => {
    const hinted = (ip: string, zone: string) => ({ addresses: [ip], hints: { forZones: [{ name: zone }] } })
    const endpoints = [hinted('10.244.1.5', 'zone-a'), hinted('10.244.2.5', 'zone-b')]
    const { store } = place.server
    store.put('endpointslices', { ...endpointSlice('one-abc', 'one'), endpoints })
    cluster()
    await expectRules(/--to-destination 10\.244\.1\.5:8080/)
    expect(await rules()).not.toContain('10.244.2.5')
    store.put('nodes', node('zone-b'))
    await expectRules(/--to-destination 10\.244\.2\.5:8080/)
    expect(await rules()).not.toContain('--to-destination 10.244.1.5')
  })

  test('another address of the machine changes the rules where nodePortAddresses is a CIDR', async () => {
    cluster('--nodeport-addresses', '192.168.0.0/16')
    await expectRules(/-d 192\.168\.1\.63\/32 .*-j KUBE-NODEPORTS/)
    expect(await rules()).not.toContain('-d 192.168.7.7/32')
    await place.must(['ip', 'address', 'add', '192.168.7.7/24', 'dev', 'eth0'])
    await expectRules(/-d 192\.168\.7\.7\/32 .*-j KUBE-NODEPORTS/)
  })

  test('answers metrics, health and status pages', async () => {
    cluster('--debug-rules', '--feature-gates', 'ComponentStatusz=true,ComponentFlagz=true')
    await expectRules(/KUBE-SERVICES/)
    await eventually(() => listeningPorts(place, place.server.port), [10_249, 10_256])
    const get = (port: number, page: string) => place.ask({ port, path: page })
    for (const page of ['/healthz', '/livez']) {
      expect(await get(10_256, page)).toMatchObject({
        status: '200 OK',
        body: expect.stringContaining('"healthy":true'),
      })
    }
    expect(await get(10_249, '/proxyMode')).toMatchObject({ status: '200 OK', body: 'iptables' })
    expect((await get(10_249, '/configz'))?.body).toContain('kubeproxy.config.k8s.io')
    expect((await get(10_249, '/statusz'))?.body).toContain('1.36.2')
    expect((await get(10_249, '/flagz'))?.body).toContain(`hostname-override=${NODE}`)
    const metrics = (await get(10_249, '/metrics'))?.body
    expect(metrics).toContain('kubeproxy_sync_proxy_rules_last_timestamp_seconds')
    expect(metrics).toMatch(/^sluice_/m)
    const debug = await get(10_249, '/debug/rules')
    expect(debug).toMatchObject({ status: '200 OK', body: expect.stringContaining('10.244.1.5:8080') })
    expect(await get(10_249, '/nothing')).toMatchObject({ status: '404 Not Found' })
  })

  test.for<readonly [string, readonly string[], RegExp]>([
    ['an unknown flag', ['--no-such-flag'], /unknown option '--no-such-flag'/],
    ['a word too much', ['extra'], /extra/],
    [
      'a mode that is valid and not served',
      ['--proxy-mode', 'nftables'],
      /mode nftables is valid for kube-proxy and not served/,
    ],
    [
      'a scheduler that does not exist',
      ['--proxy-mode', 'ipvs', '--ipvs-scheduler', 'rrr'],
      /ipvs\.scheduler: "rrr" is no IPVS scheduler: use rr, /,
    ],
    ['no mode', ['--proxy-mode', 'x'], /failed validate: .*Mode\.ProxyMode|ProxyMode/],
    [
      'a value out of range',
      ['--iptables-masquerade-bit', '40'],
      /MasqueradeBit: Invalid value: 40: must be within the range \[0, 31\]/,
    ],
    ['a configuration that is not there', ['--config', '/nowhere/config.yaml'], /\/nowhere\/config\.yaml/],
    ['files and a cluster', ['-f', EXAMPLE, '--kubeconfig', 'x'], /exclude each other/],
    ['a kubeconfig that is not there', ['--kubeconfig', '/nowhere/config'], /\/nowhere\/config/],
  ])('%s is one clear complaint, and no rules', async ([, words, message]) => {
    const ended = await end(...words, '--hostname-override', NODE)
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).not.toMatch(/^\s+at /m)
    expect(await rules()).not.toContain('KUBE')
  })

  test('without iptables it says what to install', async () => {
    const ended = await place.daemon(args('--once'), WITHOUT_SBIN).ended
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('there is no iptables on this machine: install it')
    expect(ended.stderr.trim().split('\n')).toHaveLength(1)
  })
})

function plain(): readonly string[] {
  return ['--hostname-override', NODE, '--conntrack-max-per-core', '0']
}

function args(...more: readonly string[]): readonly string[] {
  return ['--kubeconfig', place.kubeconfig, ...plain(), ...more]
}

function cluster(...more: readonly string[]) {
  return place.daemon(args(...more))
}

function run(...more: readonly string[]): Promise<DaemonEnd> {
  return end(...args(...more))
}

function end(...words: readonly string[]): Promise<DaemonEnd> {
  return place.daemon(words).ended
}

function rules(): Promise<string> {
  return wholeRules(place)
}

async function expectRules(pattern: RegExp): Promise<void> {
  await eventually(async () => pattern.test(await rules()), true)
}

function configText(): string {
  return `${HEADER}conntrack:\n  maxPerCore: 0\nclientConnection:\n  kubeconfig: ${place.kubeconfig}\n`
}

function nodePort(port = 30_080): Value {
  const { metadata, spec } = service('one', '10.96.0.11') as { metadata: Value; spec: Value }
  return { metadata, spec: { ...spec, type: 'NodePort', ports: [{ protocol: 'TCP', port: 80, nodePort: port }] } }
}

function node(zone = 'zone-a'): Value {
  return {
    metadata: { name: NODE, labels: { 'topology.kubernetes.io/zone': zone } },
    spec: { podCIDRs: ['10.244.1.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.1.63' }] },
  }
}
