// One row for each kind of bad input in an EndpointSlice: the whole message, and whether the slice is still used.
import { describe, expect, it } from 'vitest'
import { sliceIssues } from '../../support/decoded-issues.ts'

type Fields = Record<string, unknown>

const SLICE = 'f.yaml, document 2: EndpointSlice shop/web-1'

describe('a slice is skipped for', () => {
  it.each<[string, Fields, string]>([
    [
      'an addressType that the API does not have',
      { addressType: 'IPv5' },
      'addressType: "IPv5" is an addressType that the API does not have: use IPv4 or IPv6',
    ],
    ['no addressType', { addressType: undefined }, 'addressType: is missing: add IPv4 or IPv6'],
    [
      'a condition that kubectl alone understands',
      { endpoints: [{ addresses: [], conditions: { ready: 'yes' } }] },
      'endpoints[0].conditions.ready: "yes" is text in YAML 1.2 and true or false for kubectl: write true or false',
    ],
    [
      'a condition of a wrong type',
      { endpoints: [{ addresses: [], conditions: { ready: 1 } }] },
      'endpoints[0].conditions.ready: 1 is not true or false: write true or false, without quotes',
    ],
    [
      'a port out of range',
      { ports: [{ name: '', port: 65536 }] },
      'ports[0].port: 65536 is out of range: use a port from 1 to 65535',
    ],
    [
      'an unknown protocol',
      { ports: [{ name: '', port: 1, protocol: 'QUIC' }] },
      'ports[0].protocol: "QUIC" is not a value that the API has: use TCP, UDP or SCTP',
    ],
    [
      'an address that is no text',
      { endpoints: [{ addresses: [10] }] },
      'endpoints[0].addresses[0]: 10 is not text: put it in quotes',
    ],
    [
      'a label that is no Service name',
      { metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'a/b' } } },
      'metadata.labels[kubernetes.io/service-name]: "a/b" is not the name of a Service: correct the label',
    ],
    [
      'a node name without end',
      { endpoints: [{ addresses: [], nodeName: 'n'.repeat(254) }] },
      'endpoints[0].nodeName: is longer than 253 characters: shorten it to the name that it stands for',
    ],
  ])('%s', (_what, more, message) => {
    expect(sliceIssues(more)).toEqual({ used: false, issues: [`error ${SLICE} ${message}`] })
  })
})

describe('a slice loses only', () => {
  it.each<[string, Fields, string]>([
    [
      'an endpoint with a bad address',
      { endpoints: [{ addresses: ['10.0.0'] }] },
      'endpoints[0].addresses[0]: "10.0.0" is not an IP address, so the endpoint is left out: write one such as 10.0.0.1 or fd00::1',
    ],
    [
      'an endpoint of another family',
      { endpoints: [{ addresses: ['fd00::1'] }] },
      'endpoints[0].addresses[0]: fd00::1 is not of the addressType IPv4, so the endpoint is left out: make them agree',
    ],
    [
      'an endpoint without an address',
      { endpoints: [{}] },
      'endpoints[0].addresses: is empty, so the endpoint is left out: add its address',
    ],
    [
      'a port without a name',
      { ports: [{ port: 80 }] },
      "ports[0].name: is missing, so kube-proxy passes over the port: write name: '' for an unnamed port",
    ],
  ])('%s', (_what, more, message) => {
    expect(sliceIssues(more)).toEqual({ used: true, issues: [`error ${SLICE} ${message}`] })
  })
})
