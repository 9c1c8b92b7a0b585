// Virtual servers, sets and addresses of two sides: grouped by Service, and said in words.
import { describe, expect, test } from 'vitest'
import { compareIpvs } from '../../src/compare/compare-ipvs.ts'
import type { IpvsSide } from '../../src/compare/ipvs-side.ts'
import { explainIpvs } from '../../src/compare/ipvs-words.ts'
import { nameGroup } from '../../src/compare/name-group.ts'
import { type IpvsFiles, ipvsFiles, readIpvsCase, savedSide } from '../support/ipvs-side.ts'
import { edit } from '../support/rule-text.ts'

const FILES = ipvsFiles('own/story-scale', '.2')
const KNOWN = readIpvsCase('own/story-scale', '.2')
const HEAD = '-A -t 10.96.1.10:80 -s rr'
const REAL = '-a -t 10.96.1.10:80 -r 10.244.2.5:8080 -m -w 1\n'

function statements(change: Partial<IpvsFiles>, known: Partial<typeof KNOWN> = KNOWN) {
  const before = savedSide(FILES, 'ipv4', known)
  const after = savedSide({ ...FILES, ...change }, 'ipv4')
  const differences = compareIpvs(before, after, { foreign: true })
  return Object.fromEntries(
    explainIpvs(before, after, differences).map(({ group, statements: texts }) => [nameGroup(group), texts]),
  )
}

function swap(from: string, to: string) {
  return statements({ 'ipvsadm-save': edit(FILES['ipvsadm-save'], from, to) })['Service shop/web']
}

describe('in words', () => {
  test('the order of lines is no difference', () => {
    const reversed = FILES['ipset-save']
      .split(/(?=^create )/m)
      .map((set) => {
        const [head = '', ...entries] = set.trimEnd().split('\n')
        return [head, ...entries.toReversed(), ''].join('\n')
      })
      .toReversed()
    expect(statements({ 'ipset-save': reversed.join('') })).toEqual({})
  })

  test('an endpoint comes or goes, with the share that is left', () => {
    expect(swap(REAL, '')).toEqual([
      'virtual server tcp 10.96.1.10:80: endpoint 10.244.2.5:8080 removed; each endpoint now gets 1/2 instead of 1/3',
    ])
  })

  test('a weight, a scheduler, persistence, and another way of forwarding', () => {
    expect(swap(REAL, REAL.replace('-w 1', '-w 0'))).toEqual([
      'virtual server tcp 10.96.1.10:80: endpoint 10.244.2.5:8080 has weight 0 instead of 1; each endpoint now gets 1/2 instead of 1/3',
    ])
    expect(swap(HEAD, `${HEAD.replace('rr', 'mh')} -p 10800 -b mh-port`)).toEqual([
      'virtual server tcp 10.96.1.10:80: scheduler mh instead of rr',
      'virtual server tcp 10.96.1.10:80: scheduler flags mh-port instead of none',
      'virtual server tcp 10.96.1.10:80: a client keeps its endpoint for 10800 s instead of not at all',
    ])
    expect(swap(REAL, REAL.replace('-m', '-g'))).toEqual([
      'virtual server tcp 10.96.1.10:80: endpoint 10.244.2.5:8080 is reached with -g -w 1 instead of -m -w 1',
    ])
  })

  test('a whole virtual server, with its entries and its address', () => {
    const gone = statements({
      'ipvsadm-save': FILES['ipvsadm-save'].replaceAll(/^-[Aa] -t 10\.96\.1\.10:80 .*\n/gm, ''),
      'ipset-save': FILES['ipset-save'].replaceAll(/^add \S+ 10\.96\.1\.10.*\n/gm, ''),
      'kube-ipvs0-addresses': edit(FILES['kube-ipvs0-addresses'], '10.96.1.10/32\n', ''),
    })
    expect(gone).toEqual({
      'Service shop/web': [
        'virtual server tcp 10.96.1.10:80: removed: scheduler rr, endpoints 10.244.1.5:8080, 10.244.2.5:8080, 10.244.3.5:8080',
        'set KUBE-CLUSTER-IP (service cluster ip + port for masquerade purpose): no longer has 10.96.1.10,tcp:80',
        'set KUBE-IPVS-IPS (Addresses on the ipvs interface): no longer has 10.96.1.10',
        'kube-ipvs0 no longer has 10.96.1.10',
      ],
    })
  })

  test('where no Service is known, things are called by their address, and those of others are so called', () => {
    const change = {
      'ipvsadm-save': `${edit(FILES['ipvsadm-save'], REAL, '')}-A -t 203.0.113.9:80 -s rr\n`,
    }
    expect(Object.keys(statements(change, {}))).toEqual(['virtual IP 10.96.1.10', 'rules of others'])
  })
})

describe('as text', () => {
  const side = (change: Partial<IpvsFiles>): IpvsSide => savedSide({ ...FILES, ...change }, 'ipv4', KNOWN)

  test('a group has its objects with the lines of their tools, of sets only those that differ', () => {
    const after = side({
      'ipset-save': edit(
        FILES['ipset-save'],
        'add KUBE-CLUSTER-IP 10.96.1.10,tcp:80\n',
        'add KUBE-CLUSTER-IP 10.96.1.10,tcp:81\n',
      ),
    })
    expect(compareIpvs(side({}), after, { foreign: true })).toEqual([
      {
        group: { kind: 'service', service: 'shop/web' },
        objects: [
          {
            kind: 'set',
            object: 'KUBE-CLUSTER-IP',
            change: 'changed',
            before: ['add KUBE-CLUSTER-IP 10.96.1.10,tcp:80'],
            after: ['add KUBE-CLUSTER-IP 10.96.1.10,tcp:81'],
          },
        ],
      },
    ])
  })

  test('what one side does not know is not compared', () => {
    const { addresses: _, ...rest } = side({})
    const unknown: IpvsSide = { ...rest, sets: new Map(), knowsSets: false }
    expect(compareIpvs(side({}), unknown, { foreign: true })).toEqual([])
  })
})
