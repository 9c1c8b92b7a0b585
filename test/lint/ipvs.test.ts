// IPVS mode: what lint and verify find, and that they find nothing wrong in what kube-proxy made.
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Cidr, Ip } from '../../src/index.ts'
import { lintRules } from '../../src/lint/lint.ts'
import { lintIpvs } from '../../src/lint/lint-ipvs.ts'
import { verifyIpvs } from '../../src/lint/verify-ipvs.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { compiledSide, type IpvsFiles, ipvsFiles, readIpvsCase, savedRules, savedSide } from '../support/ipvs-side.ts'
import { edit } from '../support/rule-text.ts'

const recorded = readdirSync(path.join(GOLDEN_ROOT, 'recorded'))
  .map((name) => `recorded/${name}`)
  .filter((name) => existsSync(path.join(GOLDEN_ROOT, name, 'ipvs')))

describe('what kube-proxy made', () => {
  test('has no error and no warning, for lint', () => {
    const found = recorded.flatMap((name) => {
      const known = readIpvsCase(name)
      const nodeAddresses = known.node.host.addresses
      return FAMILIES.flatMap((family) => {
        const side = savedSide(ipvsFiles(name), family, known)
        const rules = savedRules(name, family)
        const findings = [
          ...lintRules(rules),
          ...lintIpvs(rules, side, { snapshot: known.snapshot, nodeAddresses }),
          ...lintIpvs(rules, { ...side, servicePorts: [] }, {}),
        ]
        return findings
          .filter(({ severity }) => severity !== 'notice')
          .map(({ kind, message, owner }) => `${name} ${family} ${kind} ${owner}: ${message}`)
      })
    })
    expect(recorded.length).toBeGreaterThan(100)
    expect(found).toEqual([])
  })

  test('is what the cluster asks for, for verify', () => {
    const found = recorded.flatMap((name) => {
      const known = readIpvsCase(name)
      return FAMILIES.flatMap((family) => {
        const actual = savedSide(ipvsFiles(name), family)
        const desired = compiledSide(known, family)
        return verifyIpvs(actual, desired, known.config.ipvs.excludeCIDRs)
      })
    })
    expect(found).toEqual([])
  })
})

const WEB = 'own/story-scale'
const FILES = ipvsFiles(WEB, '.2')
const known = readIpvsCase(WEB, '.2')
const VIP = '10.96.1.10'

/** What is found when one of the files of a sound node is another one. */
function verify(change: Partial<IpvsFiles>, excludeCIDRs: readonly Cidr[] = []) {
  const actual = savedSide({ ...FILES, ...change }, 'ipv4')
  return verifyIpvs(actual, compiledSide(known, 'ipv4'), excludeCIDRs)
}

function lint(change: Partial<IpvsFiles>) {
  const side = savedSide({ ...FILES, ...change }, 'ipv4', known)
  const nodeAddresses = known.node.host.addresses
  return lintIpvs(savedRules(WEB, 'ipv4', '.2'), side, { snapshot: known.snapshot, nodeAddresses })
}

describe('verify', () => {
  const ipvs = FILES['ipvsadm-save']

  test('a virtual server that is missing', () => {
    const gone = ipvs.replaceAll(/^-[Aa] -t 10\.96\.1\.10:80 .*\n/gm, '')
    expect(verify({ 'ipvsadm-save': gone })).toMatchObject([
      { severity: 'error', kind: 'missing-virtual-server', service: 'shop/web' },
    ])
  })

  test('a real server that is missing, too many, or has another weight', () => {
    const real = `-a -t ${VIP}:80 -r 10.244.2.5:8080 -m -w 1\n`
    const details = (text: string) => verify({ 'ipvsadm-save': text }).map(({ kind, details: lines }) => [kind, lines])
    expect(details(edit(ipvs, real, ''))).toEqual([
      [
        'changed-virtual-server',
        [`to be right: tcp ${VIP}:80: endpoint 10.244.2.5:8080 added; each endpoint now gets 1/3 instead of 1/2`],
      ],
    ])
    expect(details(edit(ipvs, real, `${real}${real.replace('2.5', '2.99')}`))[0]?.[1]).toEqual([
      `to be right: tcp ${VIP}:80: endpoint 10.244.2.99:8080 removed; each endpoint now gets 1/3 instead of 1/4`,
    ])
    expect(details(edit(ipvs, real, real.replace('-w 1', '-w 5')))[0]?.[1]).toEqual([
      `to be right: tcp ${VIP}:80: endpoint 10.244.2.5:8080 has weight 1 instead of 5`,
    ])
  })

  test('a real server that ends its connections is a notice', () => {
    const real = `-a -t ${VIP}:80 -r 10.244.2.5:8080 -m -w 1\n`
    const ending = real.replace('2.5', '2.99').replace('-w 1', '-w 0')
    expect(verify({ 'ipvsadm-save': edit(ipvs, real, real + ending) })).toMatchObject([
      { severity: 'notice', kind: 'terminating-real-server' },
    ])
  })

  test('another scheduler and session affinity', () => {
    const other = edit(ipvs, `-A -t ${VIP}:80 -s rr`, `-A -t ${VIP}:80 -s wlc -p 300`)
    expect(verify({ 'ipvsadm-save': other })[0]?.details).toEqual([
      `to be right: tcp ${VIP}:80: scheduler rr instead of wlc`,
      `to be right: tcp ${VIP}:80: a client keeps its endpoint not at all instead of for 300 s`,
    ])
  })

  test('virtual servers of others are theirs, and leftovers are told by what belongs to them', () => {
    const foreign = '-A -t 203.0.113.9:80 -s rr\n-a -t 203.0.113.9:80 -r 192.0.2.1:80 -g -w 1\n-A -f 17 -s rr\n'
    expect(verify({ 'ipvsadm-save': ipvs + foreign })).toEqual([])
    const old = '-A -t 10.96.9.9:80 -s rr\n'
    const bound = {
      'ipvsadm-save': ipvs + old,
      'kube-ipvs0-addresses': `${FILES['kube-ipvs0-addresses']}10.96.9.9/32\n`,
    }
    expect(verify(bound).map(({ severity, kind, owner }) => [severity, kind, owner])).toEqual([
      ['warning', 'extra-virtual-server', 'virtual IP 10.96.9.9'],
      ['warning', 'extra-address', 'virtual IP 10.96.9.9'],
    ])
    expect(verify(bound, ['10.96.9.0/24' as Cidr]).map(({ kind }) => kind)).toEqual(['extra-address'])
  })

  test('entries and addresses that are missing or too many', () => {
    const sets = FILES['ipset-save']
    const entry = `add KUBE-CLUSTER-IP ${VIP},tcp:80\n`
    expect(verify({ 'ipset-save': edit(sets, entry, `${entry}add KUBE-CLUSTER-IP 10.96.9.9,tcp:1\n`) })).toMatchObject([
      { severity: 'warning', kind: 'extra-set-entry', details: ['KUBE-CLUSTER-IP 10.96.9.9,tcp:1'] },
    ])
    expect(verify({ 'ipset-save': edit(sets, entry, '') })).toMatchObject([
      { severity: 'error', kind: 'missing-set-entry', service: 'shop/web' },
    ])
    const addresses = edit(FILES['kube-ipvs0-addresses'], `${VIP}/32\n`, '')
    expect(verify({ 'kube-ipvs0-addresses': addresses })).toMatchObject([
      { severity: 'error', kind: 'missing-address', service: 'shop/web', details: [VIP] },
    ])
  })

  test('a larger set, or one whose table grew, is no difference in effect, and one of another type is', () => {
    const sets = FILES['ipset-save']
    const head = 'create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536'
    const other = (line: string) => verify({ 'ipset-save': edit(sets, head, line) })
    expect(other(head.replace('1024', '4096').replace('65536', '131072 bucketsize 12 initval 0x1'))).toEqual([])
    expect(other(head.replace('hash:ip,port', 'hash:net'))).toMatchObject([{ severity: 'error', kind: 'wrong-set' }])
  })
})

describe('lint', () => {
  test('a sound node has no finding', () => {
    expect(lint({})).toEqual([])
  })

  test('a rule that names a set that is not there, and a set of another type', () => {
    const sets = FILES['ipset-save']
    const gone = sets.replaceAll(/^(?:create|add) KUBE-CLUSTER-IP .*\n/gm, '')
    expect(lint({ 'ipset-save': gone })).toContainEqual(
      expect.objectContaining({ severity: 'error', kind: 'missing-set', chain: 'KUBE-SERVICES' }),
    )
    const wrong = edit(sets, 'create KUBE-LOOP-BACK hash:ip,port,ip', 'create KUBE-LOOP-BACK hash:ip,port')
    expect(lint({ 'ipset-save': wrong }).map(({ kind, owner }) => [kind, owner])).toEqual([
      ['wrong-set', 'set KUBE-LOOP-BACK'],
    ])
  })

  test('a virtual server without real servers: a warning where the Service has endpoints', () => {
    const none = FILES['ipvsadm-save'].replaceAll(/^-a -t 10\.96\.1\.10:80 .*\n/gm, '')
    expect(lint({ 'ipvsadm-save': none })).toMatchObject([{ severity: 'warning', kind: 'no-real-servers' }])
    const alone = savedSide({ ...FILES, 'ipvsadm-save': none }, 'ipv4')
    expect(lintIpvs(savedRules(WEB, 'ipv4', '.2'), alone, {})).toMatchObject([
      { severity: 'notice', kind: 'no-real-servers', owner: `virtual IP ${VIP}` },
    ])
  })

  test('a real server that is no endpoint, unless it only ends its connections', () => {
    const stray = (weight: number) =>
      lint({ 'ipvsadm-save': `${FILES['ipvsadm-save']}-a -t ${VIP}:80 -r 10.244.9.9:8080 -m -w ${weight}\n` })
    expect(stray(1)).toMatchObject([{ severity: 'error', kind: 'not-an-endpoint', owner: 'Service shop/web' }])
    expect(stray(0)).toEqual([])
  })

  test('an address without its virtual server, and a virtual server without its address', () => {
    const addresses = FILES['kube-ipvs0-addresses']
    expect(lint({ 'kube-ipvs0-addresses': `${addresses}10.96.9.9/32\n` })).toMatchObject([
      { severity: 'warning', kind: 'unused-address', owner: 'address 10.96.9.9' },
    ])
    const unbound = { 'kube-ipvs0-addresses': edit(addresses, `${VIP}/32\n`, '') }
    expect(lint(unbound)).toMatchObject([{ severity: 'error', kind: 'unbound-address' }])
    const side = savedSide({ ...FILES, ...unbound }, 'ipv4', known)
    const rules = savedRules(WEB, 'ipv4', '.2')
    expect(lintIpvs(rules, side, { nodeAddresses: [VIP as Ip] })).toEqual([])
  })
})
