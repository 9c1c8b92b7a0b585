import { describe, expect, test } from 'vitest'
import type { Ip } from '../../src/model/address.ts'
import type { EndpointSlice } from '../../src/model/snapshot.ts'
import { collectEndpoints } from '../../src/resolve/endpoints.ts'
import { A, B, LAST_RESORT, NOT_READY, READY, slice } from '../support/slice-endpoints.ts'

describe('an endpoint that stands in two slices', () => {
  const ready = { ...A, ...READY, nodeName: 'node1' }
  const leaving = { ...A, ...LAST_RESORT }

  test.each([
    ['first', [slice('s1', [ready]), slice('s2', [leaving])]],
    ['second', [slice('s1', [leaving]), slice('s2', [ready])]],
  ])('counts as the one that is not terminating, here the %s', (_, slices) => {
    const collected = collectEndpoints(slices, 'ipv4', 'p80', 'tcp', 'node1')
    expect(collected).toEqual([{ text: '10.0.0.1:80', ip: A.ip, port: 80, ...READY, local: true }])
  })

  test('counts as the later of two that are not terminating', () => {
    const collected = collectEndpoints(
      [slice('s1', [ready]), slice('s2', [{ ...A, ...NOT_READY }])],
      'ipv4',
      'p80',
      'tcp',
      'node1',
    )
    expect(collected.map((endpoint) => endpoint.ready)).toEqual([false])
  })

  test('is two endpoints when the ports differ', () => {
    const collected = collectEndpoints(
      [slice('s1', [ready], 80), slice('s2', [ready], 8080)],
      'ipv4',
      'p80',
      'tcp',
      'node1',
    )
    expect(collected.map(({ text }) => text)).toEqual(['10.0.0.1:80', '10.0.0.1:8080'])
  })
})

test('endpoints are in the order of their text, byte by byte', () => {
  const ips = ['10.0.0.2', '10.0.0.1', '10.0.0.10', '10.0.0.100'] as Ip[]
  const collected = collectEndpoints(
    [
      slice(
        's',
        ips.map((ip) => ({ ip, ...READY })),
      ),
    ],
    'ipv4',
    'p80',
    'tcp',
    'node1',
  )
  expect(collected.map(({ text }) => text)).toEqual(['10.0.0.100:80', '10.0.0.10:80', '10.0.0.1:80', '10.0.0.2:80'])
})

test('endpoints are those of the port name, protocol and family that is asked for', () => {
  const other: EndpointSlice[] = [
    { ...slice('s1', [{ ...A, ...READY }]), ports: [{ name: 'p81', protocol: 'tcp', port: 1 }] },
    { ...slice('s2', [{ ...A, ...READY }]), ports: [{ name: 'p80', protocol: 'udp', port: 2 }] },
    { ...slice('s3', [{ ...A, ...READY }]), family: 'ipv6' },
    {
      ...slice('s4', [{ ...B, ...READY }]),
      ports: [
        { name: '', protocol: 'tcp', port: 3 },
        { name: 'p80', protocol: 'tcp', port: 4 },
      ],
    },
  ]
  expect(collectEndpoints(other, 'ipv4', 'p80', 'tcp', 'node1').map(({ text }) => text)).toEqual(['10.0.0.2:4'])
})
