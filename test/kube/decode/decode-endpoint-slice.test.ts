import { describe, expect, it } from 'vitest'
import { decodeEndpointSlice } from '../../../src/kube/decode/decode.ts'
import type { EndpointSlice } from '../../../src/model/snapshot.ts'
import { rawSlice } from '../../support/raw-objects.ts'

const AT = { source: 'f.yaml' }
const READY = { ready: true, serving: true, terminating: false }

function decode(more: Record<string, unknown> = {}): EndpointSlice {
  const { object, issues } = decodeEndpointSlice(rawSlice(more), AT)
  expect(issues).toEqual([])
  if (object === undefined) throw new Error('no EndpointSlice')
  return object
}

describe('an EndpointSlice', () => {
  it('belongs to the Service of its label', () => {
    expect(decode()).toEqual({
      namespace: 'shop',
      name: 'web-1',
      service: 'shop/web',
      family: 'ipv4',
      ports: [{ name: '', protocol: 'tcp', port: 8080 }],
      endpoints: [{ ip: '10.0.0.1', ...READY }],
    })
  })

  it.each([
    [{}, READY],
    [{ ready: null, serving: null, terminating: null }, READY],
    [{ ready: false }, { ...READY, ready: false }],
    [
      { ready: false, serving: true, terminating: true },
      { ready: false, serving: true, terminating: true },
    ],
    [{ serving: false }, { ...READY, serving: false }],
  ])('resolves the conditions %j', (conditions, expected) => {
    expect(decode({ endpoints: [{ addresses: ['10.0.0.1'], conditions }] }).endpoints).toEqual([
      { ip: '10.0.0.1', ...expected },
    ])
  })

  it('takes only the first address of an endpoint, in canonical form', () => {
    const endpoints = [{ addresses: ['2001:DB8::0:1', 'rubbish'] }]
    expect(decode({ addressType: 'IPv6', endpoints })).toMatchObject({
      family: 'ipv6',
      endpoints: [{ ip: '2001:db8::1' }],
    })
  })

  it('keeps the node and the hints as they are, and no empty ones', () => {
    const hints = { forZones: [{ name: 'b' }, { name: 'a' }], forNodes: [{ name: 'Odd Node' }] }
    const endpoints = [
      { addresses: ['10.0.0.1'], nodeName: 'node-1', hints },
      { addresses: ['10.0.0.2'], nodeName: '', hints: { forZones: [], forNodes: null } },
    ]
    expect(decode({ endpoints }).endpoints).toEqual([
      { ip: '10.0.0.1', ...READY, nodeName: 'node-1', zoneHints: ['b', 'a'], nodeHints: ['Odd Node'] },
      { ip: '10.0.0.2', ...READY },
    ])
  })

  it('may have neither ports nor endpoints', () => {
    expect(decode({ ports: null, endpoints: [] })).toMatchObject({ ports: [], endpoints: [] })
  })

  it('keeps one endpoint when the others are bad', () => {
    const endpoints = [{ addresses: ['x'] }, { addresses: [] }, { addresses: ['fd00::1'] }, { addresses: ['10.0.0.9'] }]
    const { object, issues } = decodeEndpointSlice(rawSlice({ endpoints }), AT)
    expect(object?.endpoints).toEqual([{ ip: '10.0.0.9', ...READY }])
    expect(issues.map(({ at }) => at.field)).toEqual([
      'endpoints[0].addresses[0]',
      'endpoints[1].addresses',
      'endpoints[2].addresses[0]',
    ])
  })

  it('skips ports without a name or a number and keeps the others', () => {
    const ports = [{ port: 1 }, { name: null, port: 2 }, { name: 'a' }, { name: 'b', port: 0 }, { name: 'c', port: 3 }]
    const { object, issues } = decodeEndpointSlice(rawSlice({ ports }), AT)
    expect(object?.ports).toEqual([{ name: 'c', protocol: 'tcp', port: 3 }])
    expect(issues.map(({ severity, at }) => `${severity} ${at.field}`)).toEqual([
      'error ports[0].name',
      'error ports[1].name',
      'notice ports[2].port',
      'notice ports[3].port',
    ])
  })
})
