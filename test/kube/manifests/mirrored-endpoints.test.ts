import { describe, expect, it } from 'vitest'
import { derive } from '../../support/endpoint-sources.ts'

function mirrored(subsets: string, metadata = '{name: db}'): string {
  return `
kind: Service
metadata: {name: db}
spec: {clusterIP: 172.30.0.1, ports: [{name: sql, port: 5432}]}
---
kind: Endpoints
metadata: ${metadata}
subsets: ${subsets}`
}

describe('slices from an Endpoints object', () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'addresses are ready, notReadyAddresses are not',
      '[{addresses: [{ip: 10.0.0.2}], notReadyAddresses: [{ip: 10.0.0.1}], ports: [{name: sql, port: 5432}]}]',
      ['db-derived-ipv4-1 ipv4 sql/tcp/5432: 10.0.0.1 serving, 10.0.0.2 ready serving'],
    ],
    [
      'the node name is kept',
      '[{addresses: [{ip: 10.0.0.1, nodeName: n1}], ports: [{port: 1}]}]',
      ['db-derived-ipv4-1 ipv4 /tcp/1: 10.0.0.1 ready serving node=n1'],
    ],
    [
      'each family has its own slice, whatever families the Service has',
      '[{addresses: [{ip: "fd00::0:1"}, {ip: 10.0.0.1}], ports: [{port: 1, protocol: UDP}]}]',
      ['db-derived-ipv4-1 ipv4 /udp/1: 10.0.0.1 ready serving', 'db-derived-ipv6-1 ipv6 /udp/1: fd00::1 ready serving'],
    ],
    [
      'subsets with the same ports share a slice',
      '[{addresses: [{ip: 10.0.0.2}], ports: [{port: 1}]}, {addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]',
      ['db-derived-ipv4-1 ipv4 /tcp/1: 10.0.0.1 ready serving, 10.0.0.2 ready serving'],
    ],
    [
      'subsets with different ports have slices of their own',
      '[{addresses: [{ip: 10.0.0.2}], ports: [{name: b, port: 2}]}, {addresses: [{ip: 10.0.0.1}], ports: [{name: a, port: 1}]}]',
      [
        'db-derived-ipv4-1 ipv4 a/tcp/1: 10.0.0.1 ready serving',
        'db-derived-ipv4-2 ipv4 b/tcp/2: 10.0.0.2 ready serving',
      ],
    ],
    [
      'one address in several subsets has the ports of all of them',
      '[{addresses: [{ip: 10.0.0.1}], ports: [{name: b, port: 2}]}, {addresses: [{ip: 10.0.0.1}], ports: [{name: a, port: 1}]}]',
      ['db-derived-ipv4-1 ipv4 a/tcp/1 b/tcp/2: 10.0.0.1 ready serving'],
    ],
    [
      'an address that is ready for one port and not for another has both states',
      '[{addresses: [{ip: 10.0.0.1}], ports: [{name: b, port: 2}]}, {notReadyAddresses: [{ip: 10.0.0.1}], ports: [{name: a, port: 1}]}]',
      ['db-derived-ipv4-1 ipv4 a/tcp/1: 10.0.0.1 serving', 'db-derived-ipv4-2 ipv4 b/tcp/2: 10.0.0.1 ready serving'],
    ],
    [
      'where subsets contradict each other, not ready wins, in this order',
      '[{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}, {notReadyAddresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]',
      ['db-derived-ipv4-1 ipv4 /tcp/1: 10.0.0.1 serving'],
    ],
    [
      'where subsets contradict each other, not ready wins, in the other order',
      '[{notReadyAddresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}, {addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]',
      ['db-derived-ipv4-1 ipv4 /tcp/1: 10.0.0.1 serving'],
    ],
    [
      'a subset without ports gives a slice without ports',
      '[{addresses: [{ip: 10.0.0.1}]}]',
      ['db-derived-ipv4-1 ipv4 (no port): 10.0.0.1 ready serving'],
    ],
    ['no subsets give no slices', 'null', []],
  ]
  it.each(cases)('%s', (_, subsets, expected) => {
    expect(derive(mirrored(subsets))).toEqual({
      slices: expected.map((line) => `default/db ${line}`),
      from: { 'default/db': 'Endpoints' },
      issues: [],
    })
  })

  it('ignores the label skip-mirror and annotations', () => {
    const metadata =
      '{name: db, labels: {endpointslice.kubernetes.io/skip-mirror: "true"}, annotations: {control-plane.alpha.kubernetes.io/leader: "{}"}}'
    expect(derive(mirrored('[{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]', metadata)).slices).toEqual([
      'default/db db-derived-ipv4-1 ipv4 /tcp/1: 10.0.0.1 ready serving',
    ])
  })

  it('leaves out an address that is none, and names its field', () => {
    const subsets = '[{addresses: [{ip: 10.0.0.1}, {ip: "10.0.0.256\\n-A X"}], ports: [{port: 1}]}]'
    expect(derive(mirrored(subsets))).toEqual({
      slices: ['default/db db-derived-ipv4-1 ipv4 /tcp/1: 10.0.0.1 ready serving'],
      from: { 'default/db': 'Endpoints' },
      issues: [
        String.raw`error t.yaml, document 2: Endpoints default/db subsets[0].addresses[1].ip: "10.0.0.256\n-A X" is not an IP address: write one such as 10.0.0.1 or fd00::1`,
      ],
    })
  })

  const broken: readonly (readonly [string, string, string])[] = [
    ['subsets that are no list', '{a: 1}', 'subsets: a map is not a list: write `- ` items, or leave it out'],
    [
      'a port out of range',
      '[{ports: [{port: 65536}]}]',
      'subsets[0].ports[0].port: 65536 is not a port: use a whole number from 1 to 65535, without quotes',
    ],
    ['a missing port', '[{ports: [{name: a}]}]', 'subsets[0].ports[0].port: is missing: add it'],
    [
      'a protocol that Kubernetes does not have',
      '[{ports: [{port: 1, protocol: tcp}]}]',
      'subsets[0].ports[0].protocol: "tcp" is not a protocol: use TCP, UDP or SCTP',
    ],
    [
      'a port name that could break out of its place',
      '[{ports: [{port: 1, name: "a b"}]}]',
      'subsets[0].ports[0].name: "a b" is not a port name: use a-z, 0-9 and -, at most 63',
    ],
    [
      'an address that is no text',
      '[{addresses: [{ip: 10}]}]',
      'subsets[0].addresses[0].ip: 10 is not text: put it in quotes',
    ],
  ]
  it.each(broken)('skips an object with %s', (_, subsets, message) => {
    expect(derive(mirrored(subsets))).toEqual({
      slices: [],
      from: { 'default/db': 'nothing' },
      issues: [`error t.yaml, document 2: Endpoints default/db ${message}`],
    })
  })
})
