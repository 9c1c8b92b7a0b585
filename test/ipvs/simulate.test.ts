// Which real servers a new connection may get, by what `ipvsadm -Sn` shows. test/second-kernel has the kernel's own word.
import { expect, test } from 'vitest'
import { parseIpvsadmSave } from '../../src/ipvs/parse.ts'
import { createBalancer } from '../../src/ipvs/simulate.ts'
import type { Family, Ip } from '../../src/model/address.ts'
import { fractionOf } from '../../src/packet/share.ts'

interface Asked {
  readonly to?: string
  readonly port?: number
  readonly mark?: number
  readonly family?: Family
}

function ask(text: string, { to = '10.96.0.1', port = 80, mark = 0, family = 'ipv4' }: Asked = {}) {
  const { services, issues } = parseIpvsadmSave(text)
  expect(issues).toEqual([])
  const packet = { protocol: 'tcp' as const, destination: to as Ip, destinationPort: port, mark }
  const choice = createBalancer(services, family)(packet)
  return choice?.realServers.map(({ address, port: own, share, otherWay }) =>
    [`${address}:${own}`, share && fractionOf(share), otherWay].filter((part) => part !== undefined).join(' '),
  )
}

const three = (scheduler: string, weights: readonly number[]) =>
  [
    `-A -t 10.96.0.1:80 -s ${scheduler}`,
    ...weights.map((weight, at) => `-a -t 10.96.0.1:80 -r 10.0.0.${at + 1}:8080 -m -w ${weight}`),
    '',
  ].join('\n')

test.each([
  ['rr', [1, 5, 0], ['10.0.0.1:8080 1/2', '10.0.0.2:8080 1/2']],
  ['rr', [1, 1, 1], ['10.0.0.1:8080 1/3', '10.0.0.2:8080 1/3', '10.0.0.3:8080 1/3']],
  ['wrr', [1, 5, 0], ['10.0.0.1:8080 1/6', '10.0.0.2:8080 5/6']],
  ['wlc', [1, 5, 1], ['10.0.0.1:8080 1/3', '10.0.0.2:8080 1/3', '10.0.0.3:8080 1/3']],
  ['mh', [1, 1, 0], ['10.0.0.1:8080', '10.0.0.2:8080']],
  ['fo', [1, 5, 2], ['10.0.0.2:8080 1']],
  ['rr', [0, 0], []],
  ['rr', [], []],
])('%s with weights %j', (scheduler, weights, expected) => {
  expect(ask(three(scheduler, weights))).toEqual(expected)
})

test('other addresses, ports and families are none of its business', () => {
  const text = three('rr', [1])
  expect(ask(text, { port: 81 })).toBeUndefined()
  expect(ask(text, { to: '10.96.0.2' })).toBeUndefined()
  expect(ask(text, { family: 'ipv6' })).toBeUndefined()
})

test('a firewall mark comes first, and keeps the port', () => {
  const text = `${three('rr', [1])}-A -f 17 -s rr\n-a -f 17 -r 10.0.0.9:0 -m -w 1\n`
  expect(ask(text, { mark: 17 })).toEqual(['10.0.0.9:80 1'])
  expect(ask(text, { mark: 18 })).toEqual(['10.0.0.1:8080 1'])
})

test('port 0 stands for all ports, with persistence only', () => {
  const text = (options: string) => `-A -t 10.96.0.1:0 -s rr${options}\n-a -t 10.96.0.1:0 -r 10.0.0.1:0 -m -w 1\n`
  expect(ask(text(' -p 300'))).toEqual(['10.0.0.1:80 1'])
  expect(ask(text(''))).toBeUndefined()
})

test('a real server that gets packets as they are is told apart', () => {
  expect(ask('-A -t 10.96.0.1:80 -s rr\n-a -t 10.96.0.1:80 -r 10.0.0.1:80 -g -w 1\n')).toEqual(['10.0.0.1:80 1 -g'])
})
