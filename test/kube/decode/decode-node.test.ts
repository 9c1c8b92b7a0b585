import { expect, it } from 'vitest'
import { decodeNode } from '../../../src/kube/decode/decode.ts'
import { rawNode } from '../../support/raw-objects.ts'

function decode(more: Record<string, unknown>) {
  return decodeNode(rawNode(more), { source: 'f.yaml' })
}

it('orders the addresses of a Node: internal ones first, names left out', () => {
  const addresses = [
    { type: 'ExternalIP', address: '192.0.2.1' },
    { type: 'Hostname', address: 'node-1' },
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'InternalIP', address: 'FD00::1' },
  ]
  expect(decode({ status: { addresses } }).object?.addresses).toEqual(['10.0.0.1', 'fd00::1', '192.0.2.1'])
})

it('leaves out an address of a Node that can not be read, and says so', () => {
  const { object, issues } = decode({ status: { addresses: [{ type: 'InternalIP', address: 'x' }] } })
  expect(object?.addresses).toEqual([])
  expect(issues.map(({ at }) => at)).toEqual([
    { source: 'f.yaml', object: 'Node node-1', field: 'status.addresses[0].address' },
  ])
})

it('reads the zone of a Node from its label', () => {
  const metadata = { name: 'node-1.example.com', labels: { 'topology.kubernetes.io/zone': 'z1', other: 'x' } }
  expect(decode({ metadata }).object).toEqual({ name: 'node-1.example.com', zone: 'z1', podCIDRs: [], addresses: [] })
  expect(decode({}).object).not.toHaveProperty('zone')
})

it('reads pod CIDRs of a Node, and podCIDR alone when a manifest has no more', () => {
  const both = { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.7/24', 'fd00:1::/64'] }
  expect(decode({ spec: both }).object?.podCIDRs).toEqual(['10.244.1.0/24', 'fd00:1::/64'])
  expect(decode({ spec: { podCIDR: '10.244.1.0/24' } }).object?.podCIDRs).toEqual(['10.244.1.0/24'])
})
