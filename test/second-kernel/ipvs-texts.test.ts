// What ipset, ipvsadm and ip print and take, by the tools themselves on a kernel that has IPVS: that sluice reads whatever
// they show, that of others too, and that they take every line that sluice writes.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SetHeader } from '../../src/ipset/ip-set.ts'
import { parseIpsetSave } from '../../src/ipset/parse.ts'
import {
  addEntryLine,
  createSetLine,
  deleteEntryLine,
  destroySetLine,
  printIpsetSave,
  swapSetsLine,
} from '../../src/ipset/print.ts'
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
import { ADD_DEVICE_LINE, addAddressLine, deleteAddressLine, printAddresses } from '../../src/ipvs/print-addresses.ts'
import { SCHEDULERS } from '../../src/ipvs/schedulers.ts'
import type { VirtualServer } from '../../src/ipvs/virtual-server.ts'
import type { Ip } from '../../src/model/address.ts'
import { IPVS_TOOLS, skipOrFail } from './second-kernel.ts'

const PROJECT = path.join(import.meta.dirname, '../..')
const SECONDS = 120

const lacking = skipOrFail('texts of ipset and ipvsadm', IPVS_TOOLS)

/** As administrators type them. */
const COMMANDS_OF_OTHERS = `
ipvsadm -A -f 17 -s wlc -p 60 -M 255.255.0.0
ipvsadm -a -f 17 -r 10.0.0.5:0 -g -w 3
ipvsadm -A -f 18 -6 -s rr
ipvsadm -a -f 18 -6 -r [fd00::9]:0 -i -w 0
ipvsadm -A -t 10.9.0.1:80 -s mh -b mh-port,mh-fallback
ipvsadm -a -t 10.9.0.1:80 -r 10.0.0.5:81 -m -w 2 -x 100 -y 50
ipvsadm -a -t 10.9.0.1:80 -r 10.0.0.6:80 -i --tun-type gue --tun-port 6080
ipvsadm -A -u 10.9.0.1:5060 -s sh -b sh-port -p 30 --pe sip
ipvsadm -A -u 10.9.0.1:53 -s rr -o
ipvsadm -A -t [fd00::2]:80 -s rr -p 300 -M 64
ipset create a hash:ip timeout 3000 counters comment skbinfo netmask 24
ipset add a 1.2.3.4 comment "some words" skbmark 0x1
ipset create "x y" hash:ip
ipset add "x y" 1.2.3.4
ipset create m hash:mac
ipset create n hash:net,iface
ipset add n 10.0.0.0/8,eth0 nomatch
ipset create bpt bitmap:port range 1-1024 timeout 0
ipset create l list:set
ipset add l m`

const ip = (text: string) => text as Ip
const HASH: SetHeader = { name: 'KUBE-A', type: 'hash:ip,port', family: 'ipv4', maxelem: 65_536 }
const HEADERS: readonly SetHeader[] = [
  HASH,
  { name: 'KUBE-B', type: 'hash:ip,port,ip', family: 'ipv4', maxelem: 65_536 },
  { name: 'KUBE-6-C', type: 'hash:ip,port,net', family: 'ipv6', maxelem: 65_536 },
  { name: 'KUBE-D', type: 'hash:ip', family: 'ipv4', maxelem: 131_072 },
  { name: 'KUBE-E', type: 'bitmap:port' },
]
const ENTRIES = [
  ['KUBE-A', '10.0.0.1,tcp:80'],
  ['KUBE-A', '10.0.0.1,sctp:80'],
  ['KUBE-B', '10.0.0.1,udp:53,10.0.0.1'],
  ['KUBE-6-C', 'fd00::1,tcp:80,2001:db8::/32'],
  ['KUBE-6-C', 'fd00::1,tcp:80,fd00::5'],
  ['KUBE-D', '10.0.0.1'],
  ['KUBE-E', '30080'],
] as const

const SERVERS: readonly VirtualServer[] = SCHEDULERS.filter((name) => name !== 'twos').map((scheduler, index) => ({
  protocol: (['tcp', 'udp', 'sctp'] as const)[index % 3] ?? 'tcp',
  address: index % 2 === 0 ? ip(`10.96.0.${index}`) : ip(`fd00:10:96::${index}`),
  port: 80,
  scheduler,
  schedulerFlags: scheduler === 'mh' ? ['mh-port'] : [],
  ...(index % 4 === 0 && { persistenceSeconds: 10_800 }),
  realServers: [{ address: index % 2 === 0 ? ip('10.244.1.5') : ip('fd00::5'), port: 8080, weight: 1 }],
}))

/** What each tool is given, in turn. */
function payloads(): Readonly<Record<string, readonly string[]>> {
  const [first, second] = SERVERS
  if (first === undefined || second === undefined) throw new Error('there are no virtual servers')
  const [real] = first.realServers
  if (real === undefined) throw new Error('there is no real server')
  const other = { ...HASH, name: 'KUBE-TMP', maxelem: 131_072 }
  return {
    'sets-1': [...HEADERS.map(createSetLine), ...ENTRIES.map(([set, entry]) => addEntryLine(set, entry))],
    'sets-2': [
      // Repeated lines are no errors.
      createSetLine(HASH),
      addEntryLine('KUBE-A', '10.0.0.1,tcp:80'),
      deleteEntryLine('KUBE-A', '10.0.0.9,tcp:80'),
      deleteEntryLine('KUBE-E', '30080'),
      createSetLine(other),
      addEntryLine(other.name, '10.0.0.2,tcp:80'),
      swapSetsLine(other.name, HASH.name),
      destroySetLine(other.name),
    ],
    'servers-1': SERVERS.flatMap((server) => [
      addServerLine(server),
      ...server.realServers.map((each) => addRealServerLine(server, each)),
    ]),
    'servers-2': [
      editServerLine({ ...first, scheduler: 'wlc', persistenceSeconds: 60 }),
      editRealServerLine(first, { ...real, weight: 0 }),
      addRealServerLine(first, { ...real, port: 9090 }),
      deleteRealServerLine(first, { ...real, port: 9090 }),
      deleteServerLine(second),
    ],
    'addresses-1': [
      ADD_DEVICE_LINE,
      addAddressLine(ip('10.96.0.1')),
      addAddressLine(ip('fd00::1')),
      addAddressLine(ip('fd00::2')),
    ],
    'addresses-2': [addAddressLine(ip('10.96.0.1')), deleteAddressLine(ip('fd00::1'))],
  }
}

const SCRIPT = `
cd "$1"
for step in 1 2; do
  ipset restore <sets-$step
  ipvsadm -R <servers-$step
  ip -batch addresses-$step
  echo "@@ sets-$step"; ipset save
  echo "@@ servers-$step"; ipvsadm -Sn
  echo "@@ addresses-$step"; ip -oneline address show dev kube-ipvs0
done
${COMMANDS_OF_OTHERS}
echo "@@ sets-of-others"; ipset save
echo "@@ servers-of-others"; ipvsadm -Sn`

describe.skipIf(lacking !== undefined)('in a kernel that has IPVS', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-ipvs-texts-'))
  const shown = new Map<string, string>()
  const sectionOf = (name: string) => shown.get(name) ?? `nothing is shown as ${name}`

  beforeAll(
    async () => {
      for (const [name, lines] of Object.entries(payloads())) {
        writeFileSync(path.join(folder, name), lines.map((line) => `${line}\n`).join(''))
      }
      const kernelRun = path.join(PROJECT, 'scripts/second-kernel/kernel-run')
      const argv = ['-t', String(SECONDS), '--', 'sh', '-e', '-c', SCRIPT, 'sh', folder]
      const { stdout } = await promisify(execFile)(kernelRun, argv, { cwd: PROJECT })
      for (const part of stdout.split(/^@@ /m).slice(1)) {
        const end = part.indexOf('\n')
        shown.set(part.slice(0, end), part.slice(end + 1))
      }
    },
    (SECONDS + 10) * 1000,
  )
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('ipset takes what sluice writes, and shows it as sluice prints it', () => {
    const entriesOf = (name: string) => new Set(ENTRIES.filter(([set]) => set === name).map(([, entry]) => entry))
    const wanted = HEADERS.map((header) => ({ header, entries: entriesOf(header.name) }))
    expect(printIpsetSave(parseIpsetSave(sectionOf('sets-1')).sets.values())).toBe(printIpsetSave(wanted))
  })

  test('a set grows by a swap, entries go, and repeated lines change nothing', () => {
    const { sets, issues } = parseIpsetSave(sectionOf('sets-2'))
    expect(issues).toEqual([])
    expect([...sets.keys()].toSorted()).toEqual(HEADERS.map(({ name }) => name).toSorted())
    expect(sets.get('KUBE-A')).toMatchObject({
      header: { ...HASH, maxelem: 131_072 },
      entries: new Set(['10.0.0.2,tcp:80']),
    })
    expect(sets.get('KUBE-E')?.entries).toEqual(new Set())
  })

  test('ipvsadm takes virtual servers of all protocols, schedulers and families, and shows them as sluice prints them', () => {
    const { services, issues } = parseIpvsadmSave(sectionOf('servers-1'))
    expect(issues).toEqual([])
    expect(services.every((service) => readVirtualServer(service) !== undefined)).toBe(true)
    expect(printIpvsadmSave(services)).toBe(printIpvsadmSave(SERVERS))
  })

  test('ipvsadm takes changes', () => {
    const text = printIpvsadmSave(parseIpvsadmSave(sectionOf('servers-2')).services)
    const [first, , ...others] = SERVERS
    if (first === undefined) throw new Error('there are no virtual servers')
    const realServers = first.realServers.map((real) => ({ ...real, weight: 0 }))
    const changed = { ...first, scheduler: 'wlc', persistenceSeconds: 60, realServers }
    expect(text).toBe(printIpvsadmSave([changed, ...others]))
  })

  test('ip takes addresses, again too, and gives them up', () => {
    const addresses = (name: string) =>
      [...sectionOf(name).matchAll(/ inet6? (\S+)/g)].map(([, address]) => `${address}\n`).toSorted()
    expect(addresses('addresses-1').join('')).toBe(printAddresses([ip('10.96.0.1'), ip('fd00::1'), ip('fd00::2')]))
    expect(addresses('addresses-2').join('')).toBe(printAddresses([ip('10.96.0.1'), ip('fd00::2')]))
  })

  test('sets of others are read, and nothing of them is lost', () => {
    const text = sectionOf('sets-of-others')
    const { sets, issues } = parseIpsetSave(text)
    expect(issues).toEqual([])
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => line.replaceAll(/ (?:bucketsize|initval) \S+/g, ''))
    expect(printIpsetSave(sets.values()).trimEnd().split('\n').toSorted()).toEqual(lines.toSorted())
    expect([...sets.keys()]).toEqual(expect.arrayContaining(['a', 'x y', 'm', 'n', 'bpt', 'l']))
    for (const name of ['a', 'm', 'n', 'bpt', 'l']) expect(sets.get(name)?.header).toBeUndefined()
  })

  test('services of others are read, and nothing of them is lost', () => {
    const text = sectionOf('servers-of-others')
    const { services, issues } = parseIpvsadmSave(text)
    expect(issues).toEqual([])
    expect(printIpvsadmSave(services).split('\n').toSorted()).toEqual(text.split('\n').toSorted())
    const others = services.filter((service) => readVirtualServer(service) === undefined).map(({ name }) => name)
    expect(others.toSorted()).toEqual(
      ['-f 17', '-f 18 -6', '-t 10.9.0.1:80', '-u 10.9.0.1:5060', '-u 10.9.0.1:53', '-t [fd00::2]:80'].toSorted(),
    )
  })
})
