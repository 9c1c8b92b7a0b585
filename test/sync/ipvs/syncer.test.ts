import { describe, expect, test } from 'vitest'
import { createIpvsCompiler } from '../../../src/ipvs/compile.ts'
import { type Cidr, type Ip, parseCidr } from '../../../src/model/address.ts'
import { createFakeIpvsHost, type FakeIpvsHost } from '../../support/fake-ipvs.ts'
import { CONFIG, compilerOf, NEVER, NODE, startIpvsSyncer } from '../../support/ipvs-model.ts'
import { serviceEntry, snapshotOf } from '../../support/many-services.ts'

import { ONE, OTHER, payloads, twoServices } from '../../support/two-services.ts'

describe('a change', () => {
  test('of nothing starts no process', async () => {
    const { host, sync } = await twoServices()
    expect(await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']), OTHER)).toMatchObject({ kind: 'none', lines: 0 })
    expect(host.processes).toEqual([])
  })

  test('of an endpoint is one batch of ipvsadm, and nothing else', async () => {
    const { host, sync } = await twoServices()
    expect(await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.3']), OTHER)).toMatchObject({ kind: 'partial', lines: 2 })
    expect(host.processes).toEqual(['ipvsadm -R'])
    expect(payloads(host)).toEqual([
      `ipvsadm -R: -a ${ONE} -r 10.1.0.3:8080 -m -w 1; -e ${ONE} -r 10.1.0.2:8080 -m -w 0`,
    ])
  })

  test('to a new Service makes its entries and its address ready before its virtual server', async () => {
    const { host, sync } = await twoServices()
    await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']), OTHER, serviceEntry(2, []))
    expect(host.processes).toEqual(['ipset restore', 'addresses', 'ipvsadm -R'])
  })

  test('that removes a Service takes away its virtual server first', async () => {
    const { host, sync } = await twoServices()
    await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']))
    expect(host.processes).toEqual(['ipvsadm -R', 'addresses', 'ipset restore'])
    expect(payloads(host)[0]).toBe('ipvsadm -R: -D -t 172.30.0.2:80')
  })

  test('of affinity edits the virtual server in place', async () => {
    const { host, sync } = await twoServices()
    await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2'], 'ipv4', { affinitySeconds: 300 }), OTHER)
    expect(payloads(host)).toEqual([`ipvsadm -R: -E ${ONE} -s rr -p 300`])
  })
})

describe('the first sync', () => {
  test('reads each part once, and writes sets, rules, addresses and virtual servers in this order', async () => {
    const host = createFakeIpvsHost()
    await startIpvsSyncer(host).sync(compilerOf()(snapshotOf([serviceEntry(0, ['10.1.0.1'])])), NEVER)
    expect(host.processes).toEqual([
      'ipset save',
      'ipvsadm -Sn',
      'iptables-nft-save -t',
      'ipset restore',
      'iptables-nft-save',
      'iptables-nft-restore -w',
      'addresses',
      'ipvsadm -R',
    ])
  })

  test('of a node in iptables mode has virtual servers ready before the rules of iptables mode go', async () => {
    const host = createFakeIpvsHost()
    host.rules.restore('*nat\n:KUBE-SVC-ABC - [0:0]\nCOMMIT\n')
    const program = compilerOf()(snapshotOf([serviceEntry(0, ['10.1.0.1'])]))
    await startIpvsSyncer(host).sync(program, NEVER)
    const writes = host.processes.filter((process) => /restore|-R|addresses/.test(process))
    expect(writes).toEqual(['ipset restore', 'addresses', 'ipvsadm -R', 'iptables-nft-restore -w'])
    expect(host.rules.ruleset().tables.get('nat')?.has('KUBE-SVC-ABC')).toBe(false)
  })

  test('after a restart does not ask for iptables mode, because virtual servers serve', async () => {
    const host = createFakeIpvsHost()
    const program = compilerOf()(snapshotOf([serviceEntry(0, ['10.1.0.1'])]))
    await startIpvsSyncer(host).sync(program, NEVER)
    host.processes.length = 0
    await startIpvsSyncer(host).sync(program, NEVER)
    expect(host.processes).toEqual(['ipset save', 'ipvsadm -Sn', 'iptables-nft-save'])
  })

  test('has virtual servers ready before the rules of iptables mode go, though those of IPVS mode are there, drained', async () => {
    const host = createFakeIpvsHost()
    const program = compilerOf()(snapshotOf([serviceEntry(0, ['10.1.0.1'])]))
    await startIpvsSyncer(host).sync(program, NEVER)
    host.run('ipvsadm', '-R', `-e ${ONE} -r 10.1.0.1:8080 -m -w 0`)
    host.rules.restore('*nat\n-F KUBE-SERVICES\n:KUBE-SVC-ABC - [0:0]\nCOMMIT\n')
    host.processes.length = 0
    await startIpvsSyncer(host).sync(program, NEVER)
    const writes = host.processes.filter((process) => /restore|-R|addresses/.test(process))
    expect(writes).toEqual(['ipvsadm -R', 'iptables-nft-restore -w'])
  })

  test('begins with the kubernetes Service', async () => {
    const host = createFakeIpvsHost()
    const api = serviceEntry(7, ['10.1.0.1'], 'ipv4', { namespace: 'default', name: 'kubernetes' })
    const services = [serviceEntry(0, []), { ...api, key: 'default/kubernetes' }, serviceEntry(1, [])]
    await startIpvsSyncer(host).sync(compilerOf()(snapshotOf(services)), NEVER)
    expect([...host.servers.keys()][0]).toBe('-t 172.30.0.8:80')
  })

  test('makes the device though no address is wanted', async () => {
    const host = createFakeIpvsHost()
    await startIpvsSyncer(host).sync(compilerOf()(snapshotOf([])), NEVER)
    expect(host.addresses).toEqual(new Set())
  })
})

describe('what is ours', () => {
  const sync = async (host: FakeIpvsHost, excludeCIDRs: readonly Cidr[] = []) => {
    const config = { ...CONFIG, ipvs: { ...CONFIG.ipvs, excludeCIDRs } }
    await startIpvsSyncer(host).sync(createIpvsCompiler(config, NODE, 'ipv4')(snapshotOf([])), NEVER)
  }
  const withServers = (servers: readonly string[], sets: Readonly<Record<string, string>> = {}) => {
    const host = createFakeIpvsHost()
    host.run('ipvsadm', '-R', servers.map((server) => `-A ${server} -s rr`).join('\n'))
    for (const [name, entry] of Object.entries(sets)) {
      const definition = name.includes('PORT-TCP')
        ? 'bitmap:port range 0-65535'
        : 'hash:ip,port family inet hashsize 1024 maxelem 65536'
      host.run('ipset', 'restore', `create ${name} ${definition}\nadd ${name} ${entry}`)
    }
    return host
  }

  test.each(['KUBE-CLUSTER-IP', 'KUBE-EXTERNAL-IP', 'KUBE-EXTERNAL-IP-LOCAL', 'KUBE-LOAD-BALANCER'])(
    'is a virtual server that is in %s',
    async (set) => {
      const host = withServers(['-t 10.0.0.1:80', '-u 10.0.0.1:80', '-t 10.0.0.1:81'], { [set]: '10.0.0.1,tcp:80' })
      await sync(host)
      expect([...host.servers.keys()]).toEqual(['-u 10.0.0.1:80', '-t 10.0.0.1:81'])
    },
  )

  test('is a virtual server whose address is on kube-ipvs0, and the address', async () => {
    const host = withServers(['-t 10.0.0.1:80', '-t 10.0.0.2:80'])
    host.addresses = new Set(['10.0.0.1' as Ip])
    await sync(host)
    expect([...host.servers.keys()]).toEqual(['-t 10.0.0.2:80'])
    expect(host.addresses).toEqual(new Set())
  })

  test('is a node port of a set, at an address of the node', async () => {
    const host = withServers(
      ['-t 192.168.1.63:30080', '-t 192.168.1.63:30081', '-t 192.168.1.99:30080', '-u 192.168.1.63:30080'],
      {
        'KUBE-NODE-PORT-TCP': '30080',
      },
    )
    await sync(host)
    expect([...host.servers.keys()]).toEqual([
      '-t 192.168.1.63:30081',
      '-t 192.168.1.99:30080',
      '-u 192.168.1.63:30080',
    ])
  })

  test('is a node port at an address that the node loses while sluice runs, and not one that it lost before', async () => {
    const nodeOf = (...addresses: string[]) => ({ ...NODE, host: { ...NODE.host, addresses: addresses as Ip[] } })
    const service = serviceEntry(0, ['10.1.0.1'], 'ipv4', {
      type: 'NodePort',
      ports: [{ name: 'p', protocol: 'tcp', port: 80, nodePort: 30080 }],
    })
    const before = createIpvsCompiler(CONFIG, nodeOf('192.168.1.63', '192.168.1.64'), 'ipv4')(snapshotOf([service]))
    const after = createIpvsCompiler(CONFIG, nodeOf('192.168.1.63'), 'ipv4')(snapshotOf([service]))
    const host = createFakeIpvsHost()
    const syncer = startIpvsSyncer(host)
    await syncer.sync(before, NEVER)
    expect(host.servers.has('-t 192.168.1.64:30080')).toBe(true)
    await syncer.sync(after, NEVER)
    expect([...host.servers.keys()].toSorted()).toEqual([ONE, '-t 192.168.1.63:30080'].toSorted())

    await startIpvsSyncer(host).sync(before, NEVER)
    await startIpvsSyncer(host).sync(after, NEVER)
    expect(host.servers.has('-t 192.168.1.64:30080')).toBe(true)
  })

  test('is nothing that the configuration excludes, a firewall mark, a set of another name', async () => {
    const host = withServers(['-t 10.0.0.1:80', '-f 5'], {
      'KUBE-CLUSTER-IP': '10.0.0.1,tcp:80',
      'KUBE-OTHER': '10.0.0.9,tcp:1',
    })
    host.addresses = new Set(['10.0.0.1' as Ip])
    await sync(host, [parseCidr('10.0.0.0/8') as Cidr])
    expect([...host.servers.keys()]).toEqual(['-t 10.0.0.1:80', '-f 5'])
    expect(host.addresses).toEqual(new Set(['10.0.0.1']))
    expect([...(host.sets.get('KUBE-OTHER')?.entries ?? [])]).toEqual(['10.0.0.9,tcp:1'])
  })

  test('takes over a desired virtual server that somebody else made', async () => {
    const host = withServers([ONE.replace('172.30.0.1', '172.30.0.2')])
    host.run('ipvsadm', '-R', `-A ${ONE} -s sh\n-a ${ONE} -r 10.9.9.9:1 -g -w 1\n-a ${ONE} -r 10.1.0.1:8080 -g -w 1`)
    await startIpvsSyncer(host).sync(compilerOf()(snapshotOf([serviceEntry(0, ['10.1.0.1'])])), NEVER)
    expect(host.run('ipvsadm', `-Sn`).stdout.split('\n')).toEqual([
      '-A -t 172.30.0.2:80 -s rr',
      `-A ${ONE} -s rr`,
      `-a ${ONE} -r 10.9.9.9:1 -m -w 0`,
      `-a ${ONE} -r 10.1.0.1:8080 -m -w 1`,
      '',
    ])
  })
})
