import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { decodeHost, printHost } from '../../src/host/host-file.ts'
import { parseIp } from '../../src/model/address.ts'
import { formatIssue, type Issue } from '../../src/model/issue.ts'

const COMPLETE = {
  nodeName: 'node1',
  interfaces: { lo: ['127.0.0.1/8', '::1/128'], eth0: ['192.168.1.63/24', 'fd00:1::63/64'] },
  features: { nfacct: false, randomFully: false, tcpBeLiberal: true },
}

function errorsOf(issues: readonly Issue[]): string[] {
  return issues.filter(({ severity }) => severity === 'error').map(formatIssue)
}

function decodeJson(value: unknown): ReturnType<typeof decodeHost> {
  return decodeHost(JSON.stringify(value), 'host.json')
}

describe('a complete host file', () => {
  test('gives the name, all addresses without their prefix lengths, and the features', () => {
    const { host, issues } = decodeJson(COMPLETE)
    expect(host).toEqual({
      nodeName: 'node1',
      addresses: ['127.0.0.1', '::1', '192.168.1.63', 'fd00:1::63'],
      features: { nfacct: false, randomFully: false, tcpBeLiberal: true },
    })
    expect(issues).toEqual([])
  })

  test('may be written in YAML, with addresses in any spelling, and names each address once', () => {
    const { host } = decodeHost('interfaces:\n  a: [010.0.0.1/8, "FD00:0::1/64"]\n  b: [10.0.0.1]\n', 'host.yaml')
    expect(host?.addresses).toEqual(['10.0.0.1', 'fd00::1'])
  })
})

describe('what is left open', () => {
  test('is assumed and said', () => {
    const { host, issues } = decodeJson({ interfaces: {}, features: { nfacct: false } })
    expect(host).toEqual({ addresses: [], features: { nfacct: false, randomFully: true, tcpBeLiberal: false } })
    expect(issues.map((issue) => [issue.severity, formatIssue(issue)])).toEqual([
      ['notice', 'host.json: features.randomFully: not given, assumed true'],
      ['notice', 'host.json: features.tcpBeLiberal: not given, assumed false'],
    ])
  })
})

describe('bad input', () => {
  test('an unreadable address is named and left out, and the rest is kept', () => {
    const { host, issues } = decodeJson({ ...COMPLETE, interfaces: { eth0: ['10.0.0.1/33', '10.0.0.2/24', 'x'] } })
    expect(host?.addresses).toEqual(['10.0.0.2'])
    expect(errorsOf(issues)).toEqual([
      'host.json: interfaces.eth0[0]: "10.0.0.1/33" is not an address with a prefix length: write it like 192.168.1.63/24 or fd00::1/64',
      'host.json: interfaces.eth0[2]: "x" is not an address with a prefix length: write it like 192.168.1.63/24 or fd00::1/64',
    ])
  })

  test.each([
    ['broken JSON', '{\n"interfaces": {', /^host\.json, line 2: .*correct the file$/],
    ['a key that is there twice', '{"interfaces": {},\n"interfaces": {}}', /^host\.json, line 2: .*unique/],
    ['an empty file', '', /^host\.json: this is no host file: write one like \{/],
    ['a list', '[1]', /^host\.json: this is no host file/],
    ['a file without interfaces', '{}', /^host\.json: interfaces: is missing: write a host file like/],
    ['a misspelt field', '{"interfaces": {}, "feature": {}}', /^host\.json: feature: is not a field/],
    [
      'a feature that is no boolean',
      '{"interfaces": {}, "features": {"nfacct": "yes"}}',
      /features\.nfacct: expected true or false, found "yes"$/,
    ],
    [
      'addresses that are no list',
      '{"interfaces": {"eth0": "10.0.0.1/8"}}',
      /interfaces\.eth0: expected a list of addresses/,
    ],
  ])('%s is an error and no host', (_, text, message) => {
    const { host, issues } = decodeHost(text, 'host.json')
    expect(host).toBeUndefined()
    expect(errorsOf(issues)).toEqual([expect.stringMatching(message)])
  })

  test('a file that multiplies itself is refused', () => {
    const lists = Array.from({ length: 9 }, (_, i) => `l${i}: &l${i} [${`*l${i - 1},`.repeat(9)}]`)
    const { host, issues } = decodeHost(['l: &l-1 [x]', ...lists].join('\n'), 'host.yaml')
    expect(host).toBeUndefined()
    expect(errorsOf(issues)).not.toEqual([])
  })

  test('never throws, and either gives a host or says why not', () => {
    const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.json())
    const holds = fc.property(anything, (text) => {
      const { host, issues } = decodeHost(text, 'host.json')
      expect(host !== undefined || errorsOf(issues).length > 0).toBe(true)
    })
    fc.assert(holds)
  })
})

const anyIp = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => parseIp(text) ?? expect.fail(`${text} is no address`))

const anyHost = fc.record(
  {
    nodeName: fc.string(),
    addresses: fc.uniqueArray(anyIp),
    features: fc.record({ nfacct: fc.boolean(), randomFully: fc.boolean(), tcpBeLiberal: fc.boolean() }),
  },
  { requiredKeys: ['addresses', 'features'] },
)

test('a printed host reads back as the same host', () => {
  const holds = fc.property(anyHost, (host) => {
    expect(decodeHost(printHost(host), 'host.json')).toEqual({ host, issues: [] })
  })
  fc.assert(holds)
})
