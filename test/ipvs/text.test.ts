import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseIpvsadmSave, readVirtualServer } from '../../src/ipvs/parse.ts'
import {
  addRealServerLine,
  addServerLine,
  deleteRealServerLine,
  deleteServerLine,
  editRealServerLine,
  editServerLine,
  printIpvsadmSave,
} from '../../src/ipvs/print.ts'
import { addAddressLine, deleteAddressLine, printAddresses } from '../../src/ipvs/print-addresses.ts'
import { realServerKey, type VirtualServer, virtualServerKey } from '../../src/ipvs/virtual-server.ts'
import { type Ip, parseIp } from '../../src/model/address.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'

const RECORDED = path.join(GOLDEN_ROOT, 'recorded')

/** As ipvsadm 1.31 printed it. */
const OF_OTHERS = `-A -t 10.0.0.1:80 -s mh -b mh-fallback,mh-port
-a -t 10.0.0.1:80 -r 10.0.0.5:81 -m -w 2
-a -t 10.0.0.1:80 -r 10.0.0.6:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-A -t 10.0.0.3:80 -s rr -p 360
-A -t 10.0.0.4:0 -s rr -p 5
-A -t 10.0.0.9:443 -s sh -b sh-fallback,sh-port
-A -t 10.0.0.9:445 -s rr -b flag-1
-A -u 10.0.0.1:53 -s rr -o
-A -u 10.0.0.1:5060 -s sh -p 30 --pe sip -b sh-port
-A --sctp-service 10.0.0.1:53 -s fo
-A -t [fd00::1]:80 -s rr -p 300
-A -t [fd00::2]:80 -s rr -p 300 -M 64
-A -f 17 -s wlc -p 60 -M 255.255.0.0
-a -f 17 -r 10.0.0.5:0 -g -w 3
-A -f 18 -6 -s rr
-a -f 18 -6 -r [fd00::9]:0 -i -w 0 --tun-type ipip
`

describe('ipvsadm -Sn', () => {
  const cases = readdirSync(RECORDED)

  test('there are recorded dumps', () => {
    expect(cases.length).toBeGreaterThanOrEqual(118)
  })

  test('every recorded dump is in the canonical form, and has only what sluice makes', () => {
    let servers = 0
    for (const name of cases) {
      const text = readFileSync(path.join(RECORDED, name, 'ipvs', 'ipvsadm-save'), 'utf8')
      const { services, issues } = parseIpvsadmSave(text)
      expect(issues).toEqual([])
      const virtualServers = services.flatMap((service) => readVirtualServer(service) ?? [])
      expect(virtualServers).toHaveLength(services.length)
      expect(printIpvsadmSave(services)).toBe(text)
      expect(printIpvsadmSave(virtualServers)).toBe(text)
      servers += virtualServers.length
    }
    expect(servers).toBeGreaterThan(1000)
  })

  test('services of others are kept to the byte', () => {
    const { services, issues } = parseIpvsadmSave(OF_OTHERS)
    expect(issues).toEqual([])
    expect(printIpvsadmSave(services).split('\n').toSorted()).toEqual(OF_OTHERS.split('\n').toSorted())
    expect(services.flatMap(({ key }) => key ?? [])).toEqual([
      'tcp 10.0.0.1:80',
      'tcp 10.0.0.3:80',
      'tcp 10.0.0.4:0',
      'tcp 10.0.0.9:443',
      'tcp 10.0.0.9:445',
      'udp 10.0.0.1:53',
      'udp 10.0.0.1:5060',
      'sctp 10.0.0.1:53',
      'tcp [fd00::1]:80',
      'tcp [fd00::2]:80',
    ])
    expect(services.map(({ name }) => name).slice(-2)).toEqual(['-f 17', '-f 18 -6'])
  })

  test('what sluice never makes is not taken for a virtual server of ours', () => {
    const { services } = parseIpvsadmSave(OF_OTHERS)
    const ours = services.filter((service) => readVirtualServer(service) !== undefined).map(({ name }) => name)
    expect(ours).toEqual([
      '-t 10.0.0.3:80',
      '-t 10.0.0.4:0',
      '-t 10.0.0.9:443',
      '-t 10.0.0.9:445',
      '--sctp-service 10.0.0.1:53',
      '-t [fd00::1]:80',
    ])
  })

  test('real servers of any kind keep their weights', () => {
    const { services } = parseIpvsadmSave(OF_OTHERS)
    expect(services[0]?.realServers).toEqual([
      { name: '10.0.0.5:81', options: '-m -w 2', weight: 2 },
      { name: '10.0.0.6:80', options: '-i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum', weight: 1 },
    ])
  })

  test('a line that is none is named, and the others are read', () => {
    const text = '-A -t 10.0.0.1:http -s rr\n-a -t 10.0.0.9:80 -r 10.0.0.1:80 -m -w 1\n-A -t 10.0.0.1:80 -s rr\n-Z\n'
    const { services, issues } = parseIpvsadmSave(text)
    expect(services.map(({ name }) => name)).toEqual(['-t 10.0.0.1:80'])
    expect(issues.map(({ at, message }) => [at.line, message])).toEqual([
      [1, '"-A -t 10.0.0.1:http -s rr" has no address and port as numbers: give the unchanged output of ipvsadm -Sn'],
      [
        2,
        '"-a -t 10.0.0.9:80 -r 10.0.0.1:80 -m -w 1" belongs to no service above it: give the unchanged output of ipvsadm -Sn',
      ],
      [4, '"-Z" is no line of it: give the unchanged output of ipvsadm -Sn'],
    ])
  })

  test('virtual servers of ours read back as they were printed, in one order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(arbitraryVirtualServer(), { selector: virtualServerKey }), (virtualServers) => {
        const text = printIpvsadmSave(virtualServers)
        const { services, issues } = parseIpvsadmSave(text)
        expect(issues).toEqual([])
        const read = services.map((service) => readVirtualServer(service))
        expect(new Map(read.map((each, index) => [services[index]?.key, each]))).toEqual(
          new Map(virtualServers.map((each) => [virtualServerKey(each), each])),
        )
        expect(printIpvsadmSave(virtualServers.toReversed())).toBe(text)
      }),
    )
  })
})

describe('lines of ipvsadm -R', () => {
  const server: VirtualServer = {
    protocol: 'sctp',
    address: ip('fd00::1'),
    port: 80,
    scheduler: 'mh',
    schedulerFlags: ['mh-port'],
    persistenceSeconds: 300,
    realServers: [],
  }
  const realServer = { address: ip('fd00::2'), port: 8080, weight: 0 }

  test('name what they change', () => {
    expect(addServerLine(server)).toBe('-A --sctp-service [fd00::1]:80 -s mh -p 300 -b mh-port')
    expect(editServerLine(server)).toBe('-E --sctp-service [fd00::1]:80 -s mh -p 300 -b mh-port')
    expect(deleteServerLine(server)).toBe('-D --sctp-service [fd00::1]:80')
    expect(addRealServerLine(server, realServer)).toBe('-a --sctp-service [fd00::1]:80 -r [fd00::2]:8080 -m -w 0')
    expect(editRealServerLine(server, realServer)).toBe('-e --sctp-service [fd00::1]:80 -r [fd00::2]:8080 -m -w 0')
    expect(deleteRealServerLine(server, realServer)).toBe('-d --sctp-service [fd00::1]:80 -r [fd00::2]:8080')
  })

  test.each(['', 'rr -p 9', 'rr\n-C', '"rr"'])('a scheduler %j gets into none', (scheduler) => {
    expect(() => addServerLine({ ...server, scheduler })).toThrow('cannot be a word')
    expect(() => editServerLine({ ...server, scheduler })).toThrow('cannot be a word')
    expect(() => addServerLine({ ...server, schedulerFlags: [scheduler] })).toThrow('cannot be a word')
  })
})

describe('addresses of kube-ipvs0', () => {
  test('are sorted by code point, with prefix lengths', () => {
    expect(printAddresses([ip('fd00::1'), ip('10.0.0.9'), ip('10.0.0.10')])).toBe(
      '10.0.0.10/32\n10.0.0.9/32\nfd00::1/128\n',
    )
    expect(printAddresses([])).toBe('')
  })

  test('are added and deleted by lines of ip -batch', () => {
    expect(addAddressLine(ip('10.0.0.9'))).toBe('address replace 10.0.0.9/32 dev kube-ipvs0')
    expect(deleteAddressLine(ip('fd00::1'))).toBe('address delete fd00::1/128 dev kube-ipvs0')
  })
})

function ip(text: string): Ip {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}

function arbitraryVirtualServer(): fc.Arbitrary<VirtualServer> {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map(ip)
  const port = fc.integer({ min: 0, max: 65_535 })
  const realServer = fc.record({ address, port, weight: fc.integer({ min: 0, max: 65_535 }) })
  return fc.record(
    {
      protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
      address,
      port,
      scheduler: fc.constantFrom('rr', 'wrr', 'lblcr', 'mh', 'ovf'),
      schedulerFlags: fc.constantFrom([], ['mh-port'], ['sh-fallback', 'sh-port']),
      persistenceSeconds: fc.integer({ min: 1, max: 86_400 }),
      realServers: fc
        .uniqueArray(realServer, { selector: realServerKey })
        .map((list) => list.toSorted((a, b) => (realServerKey(a) < realServerKey(b) ? -1 : 1))),
    },
    { requiredKeys: ['protocol', 'address', 'port', 'scheduler', 'schedulerFlags', 'realServers'] },
  )
}
