// Every kind of bad input, through the whole command: what it says, how it ends, and that the rest is still rendered.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Ended, sluice } from './command.ts'
import { GOOD, useOwnHome } from './own-home.ts'

const { folder, said } = useOwnHome()

const GOOD_RULE = '-A KUBE-SERVICES -d 10.96.0.9/32'

function service(spec: string, type = 'LoadBalancer'): string {
  return `apiVersion: v1
kind: Service
metadata:
  namespace: shop
  name: web
spec:
  type: ${type}
${spec.replace(/^/gm, '  ')}
`
}

function slice(body: string, owner = 'good'): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  namespace: shop
  name: good-1
  labels:
    kubernetes.io/service-name: ${owner}
${body}
`
}

const PORTS = 'ports: [{port: 80}]'
const CIDR_ADVICE = 'write one such as 203.0.113.0/24'

/** Renders the good Service and, from a second file, `text`. */
function renderBeside(text: string, ...args: readonly string[]): Promise<Ended> {
  const good = folder.write('good.yaml', GOOD)
  const bad = folder.write('bad.yaml', text)
  return sluice(['render', '-f', good, '-f', bad, '--family', 'ipv4', '--node', 'n1', ...args])
}

describe('bad objects are skipped and reported, the rest is rendered: exit code 1, or 0 with --keep-going', () => {
  test.each<[what: string, text: string, ...messages: string[]]>([
    [
      'broken YAML',
      `${GOOD.replaceAll('good', 'other').replace('0.9', '0.8')}---\nkind: Service\n  metadata: {\n`,
      'error: bad.yaml, document 2, line 6: broken YAML: Nested mappings are not allowed in compact mappings: correct it there',
    ],
    [
      'broken JSON',
      '{"apiVersion": "v1",\n "kind": "Service",,}',
      'error: bad.yaml, line 2: broken JSON: property name expected at column 20: correct it there',
    ],
    [
      'a key that stands twice in YAML',
      'apiVersion: v1\nkind: Service\nkind: Node\n',
      'error: bad.yaml, line 3: the key "kind" stands twice in one map: keep one of them',
    ],
    [
      'a key that stands twice in JSON',
      '{"apiVersion": "v1",\n"kind": "Service",\n"kind": "Node"}',
      'error: bad.yaml, line 3: the key "kind" stands twice in one object: keep one of them',
    ],
    [
      'a list where a number belongs',
      service('clusterIP: 10.96.0.10\nports: [{port: [80]}]'),
      'error: bad.yaml, line 9: Service shop/web spec.ports[0].port: a list is not a number: write the number without quotes',
    ],
    [
      'text where a number belongs',
      service("clusterIP: 10.96.0.10\nports:\n- port: '80'"),
      'error: bad.yaml, line 10: Service shop/web spec.ports[0].port: "80" is not a number: write the number without quotes',
    ],
    [
      'an invalid IP',
      service(`clusterIP: 10.96.0.300\n${PORTS}`),
      'error: bad.yaml, line 8: Service shop/web spec.clusterIP: "10.96.0.300" is not an IP address: write one such as 10.96.0.10 or fd00::10',
    ],
    [
      'an invalid CIDR',
      service(`clusterIP: 10.96.0.10\nloadBalancerSourceRanges: [10.0.0.0/8, 10.0.0.0/33]\n${PORTS}`),
      `error: bad.yaml, line 9: Service shop/web spec.loadBalancerSourceRanges[1]: "10.0.0.0/33" is not a CIDR and does not count: ${CIDR_ADVICE}`,
    ],
    [
      'an invalid port',
      service('clusterIP: 10.96.0.10\nports:\n- port: 80\n  nodePort: 70000'),
      'error: bad.yaml, line 11: Service shop/web spec.ports[0].nodePort: 70000 is out of range: use a port from 1 to 65535',
    ],
    [
      'an invalid protocol',
      service('clusterIP: 10.96.0.10\nports:\n- port: 80\n  protocol: ICMP'),
      'error: bad.yaml, line 11: Service shop/web spec.ports[0].protocol: "ICMP" is not a value that the API has: use TCP, UDP or SCTP',
    ],
    [
      'an invalid family',
      service(`clusterIP: 10.96.0.10\nipFamilies: [IPv5]\n${PORTS}`),
      'error: bad.yaml, line 9: Service shop/web spec.ipFamilies[0]: "IPv5" is not an IP family: use IPv4 or IPv6',
    ],
    [
      'an addressType that the API does not have',
      slice('addressType: IPX\nendpoints: []\nports: []'),
      'error: bad.yaml, line 8: EndpointSlice shop/good-1 addressType: "IPX" is an addressType that the API does not have: use IPv4 or IPv6',
    ],
    [
      'a version of a kind that is not read',
      slice('endpoints: []').replace('io/v1', 'io/v1beta1'),
      'error: bad.yaml, line 1: EndpointSlice shop/good-1 apiVersion: "discovery.k8s.io/v1beta1" is not read: write EndpointSlice objects as discovery.k8s.io/v1',
    ],
    [
      'a Service that is given twice',
      GOOD,
      'error: bad.yaml, line 1: Service shop/good: is given twice, and this one counts instead of the one at good.yaml, line 1: keep one of them',
    ],
  ])('%s', async (_what, text, ...messages) => {
    const ended = await renderBeside(text)
    expect(said(ended)).toEqual(messages)
    expect(ended.code).toBe(1)
    expect(ended.stdout).toContain(GOOD_RULE)
    expect(ended.stderr).toMatch(/something was skipped, see the 1 error above\n$/)
    const kept = await renderBeside(text, '--keep-going')
    expect(kept).toMatchObject({ code: 0, stdout: ended.stdout })
    expect(said(kept)).toEqual(messages)
  })
})

describe('legal oddities, which kube-proxy passes over, are notices: exit code 0', () => {
  test.each<[what: string, text: string, message: string]>([
    [
      'a slice of no known Service',
      slice('addressType: IPv4\nendpoints: []\nports: []', 'other'),
      'notice: bad.yaml, line 1: EndpointSlice shop/good-1: is a slice of no known Service and has no effect: add the Service shop/other',
    ],
    [
      'a slice of domain names',
      slice('addressType: FQDN\nendpoints: []\nports: []'),
      'notice: bad.yaml, line 8: EndpointSlice shop/good-1 addressType: is FQDN: domain names are nothing that rules can lead to, the slice is left out',
    ],
    [
      'a Service without an address yet',
      service(PORTS, 'ClusterIP'),
      'notice: bad.yaml, line 6: Service shop/web spec.clusterIP: is not assigned yet, so there are no rules for this Service: add the address',
    ],
  ])('%s', async (_what, text, message) => {
    const ended = await renderBeside(text)
    expect(said(ended)).toEqual([message])
    expect(ended.code).toBe(0)
    expect(ended.stdout).toContain(GOOD_RULE)
    expect(ended.stderr).toMatch(/rendered in \d+ ms\n$/)
  })

  test('two Services that claim one address and port', async () => {
    const ended = await renderBeside(service(`clusterIP: 10.96.0.9\n${PORTS}`, 'ClusterIP'))
    expect(said(ended)).toEqual([
      'notice: Service shop/web: 10.96.0.9:80/tcp of shop/web is also claimed by shop/good, whose rules come first: give one of them another address or port',
    ])
    expect(ended.code).toBe(0)
  })
})

describe('input that holds nothing is exit code 2, and no rules are printed', () => {
  test.each([
    ['nothing at all', ''],
    ['comments', '# to be done\n'],
    ['an empty list, as kubectl prints for no objects', 'apiVersion: v1\nitems: []\nkind: List\n'],
  ])('%s', async (_what, text) => {
    const file = folder.write('empty.yaml', text)
    const message = 'holds no Kubernetes object: check what should have written it'
    for (const flags of [[], ['--keep-going']]) {
      const ended = await sluice(['render', '-f', file, '--node', 'n1', ...flags])
      expect(said(ended)).toEqual([`error: empty.yaml: ${message}`])
      expect(ended).toMatchObject({ code: 2, stdout: '' })
    }
    const piped = await sluice(['render', '-f', '-', '--node', 'n1'], { stdin: text })
    expect(said(piped)).toEqual([`error: <stdin>: ${message}`])
    expect(piped).toMatchObject({ code: 2, stdout: '' })
  })

  test('a document that is broken, and no other', async () => {
    const ended = await sluice(['render', '-f', folder.write('a.yaml', 'kind: [\n')])
    expect(said(ended)).toEqual([expect.stringMatching(/^error: a\.yaml, line \d: broken YAML: .*: correct it there$/)])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('input that can not be read is exit code 2', () => {
  test.each<[what: string, file: () => string, message: string]>([
    [
      'a file that is not there',
      () => `${folder.path}/none.yaml`,
      "can't read none.yaml: there is no such file or directory: check the path",
    ],
    [
      'a folder without manifests',
      () => {
        mkdirSync(`${folder.path}/void`)
        return `${folder.path}/void`
      },
      'void holds no *.yaml, *.yml or *.json file: name the files, or another directory',
    ],
    [
      'a file that is no text',
      () => {
        const file = `${folder.path}/binary.yaml`
        writeFileSync(file, Buffer.from([0x6b, 0xff, 0xfe]))
        return file
      },
      'binary.yaml is not UTF-8 text, or too long for one text: check that it is a manifest',
    ],
  ])('%s', async (_what, file, message) => {
    const ended = await sluice(['render', '-f', file()])
    expect(said(ended)).toEqual([`sluice: ${message}`])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test.skipIf(process.getuid?.() === 0)('a file of somebody else', async () => {
    const file = folder.write('secret.yaml', GOOD)
    chmodSync(file, 0)
    const ended = await sluice(['render', '-f', file])
    expect(said(ended)).toEqual(["sluice: can't read secret.yaml: permission denied: allow this user to read it"])
    expect(ended.code).toBe(2)
  })
})
