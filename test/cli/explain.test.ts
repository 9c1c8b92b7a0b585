// `sluice explain` as a command: what is asked, what is answered, exit codes and errors.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { readLinks } from '../../src/cli/explain-kernel.ts'
import { startApiServer } from '../support/api-server.ts'
import { CLUSTERS } from '../support/explained.ts'
import { type Folder, oneContext, temporaryFolder } from '../support/kubeconfig-file.ts'
import { rawNode, rawService, rawSlice } from '../support/raw-objects.ts'
import { sluice } from './command.ts'

const file = (name: string) => path.join(CLUSTERS, `${name}.yaml`)
const FLAGS = ['--cluster-cidr', '10.244.0.0/16,fd00:244::/48']

async function explain(name: string, ...args: readonly string[]) {
  return sluice(['explain', ...args, '-f', file(name), ...FLAGS])
}

describe('the text', () => {
  test('sums up the Service, then tells what was found, most needed first', async () => {
    const { code, stdout } = await explain('broken/selector-typo', 'default/web', '--node', 'node1')
    expect(code).toBe(1)
    expect(stdout).toBe(`Service default/web
  type        ClusterIP
  cluster IP  10.96.0.10
  ports       http 80/tcp -> 8080, 0 of 0 ready
  policies    internal Cluster
  selector    app=wep (0 Pods, 0 ready)
  endpoints   none
  seen from   node node1, iptables mode

error    Service default/web spec.selector
         No Pod of namespace default has the labels app=wep, so there is nobody to serve.
         -> Pod default/web-1 and 1 more have app=web where the selector asks for app=wep: correct
            one of them.

error    Service default/web
         The Service has no endpoints at all, and nodes refuse connections to it. It has no
         EndpointSlices.
         -> See to at least one ready endpoint.
`)
  })

  test('says so when nothing is found', async () => {
    const { code, stdout } = await explain('sound/cluster-ip', 'web')
    expect([code, stdout.endsWith('\nNothing found: it should work.\n')]).toEqual([0, true])
  })

  test('shows what a client meets', async () => {
    const { stdout } = await explain('sound/node-port', 'web', '--node', 'node1', '--client', '203.0.113.9')
    expect(stdout).toContain(`From 203.0.113.9 (outside the cluster)
  cluster IP 10.96.0.10:80/tcp: not routed from there
  node port 30080/tcp: served by 2 endpoints (10.244.1.5:8080 and 10.244.2.5:8080), which see the address of the node
`)
  })

  test('lets no text of an object steer the terminal', async () => {
    const text = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", message: "no\\e[31m\\nerror room"}]}
`
    const { stdout } = await sluice(['explain', 'web', '-f', '-'], { stdin: text })
    expect(stdout).toContain('The Pod has no node: no\\u{1b}[31m')
    expect(stdout.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
  })
})

describe('documents', () => {
  test('-o json and -o yaml hold the same: header, counts and findings', async () => {
    const json = await explain('broken/selector-typo', 'default/web', '-o', 'json')
    const yaml = await explain('broken/selector-typo', 'default/web', '-o', 'yaml')
    const document: unknown = JSON.parse(json.stdout)
    expect(parse(yaml.stdout)).toEqual(document)
    expect(document).toMatchObject({
      apiVersion: 'sluice/v1',
      kind: 'Explanations',
      counts: { error: 2, warning: 0, notice: 0 },
      services: [
        {
          service: { namespace: 'default', name: 'web', type: 'ClusterIP', pods: { ready: 0, all: 0 } },
          findings: [
            { severity: 'error', check: 'selector-matches-no-pod', at: { object: 'Service default/web' } },
            { check: 'no-endpoints' },
          ],
        },
      ],
    })
  })
})

describe('several Services', () => {
  test('-A tells of those with errors and warnings, and counts the others', async () => {
    const { code, stdout } = await explain('broken/external-ip-conflict', '-A')
    expect(code).toBe(1)
    expect(stdout).toContain('Service default/api (ClusterIP, 2 of 2 endpoints ready)\nwarning  Service default/api')
    expect(stdout).toContain('Service default/web (ClusterIP, 2 of 2 endpoints ready)\nerror    Service default/web')
    expect(stdout).not.toContain('notice   ')
    expect(stdout.endsWith('\n2 Services: 1 with errors, 1 with warnings; 2 notices in all\n')).toBe(true)
  })

  test('--notices shows notices too, and -n takes one namespace', async () => {
    expect((await explain('broken/external-ip-conflict', '-A', '--notices')).stdout).toContain(
      '\nnotice   Service default/api',
    )
    const one = await explain('sound/pods-of-others', '-n', 'shop')
    expect(one.stdout).toBe('1 Service: 0 with errors, 0 with warnings; 0 notices in all\n')
  })
})

describe('the exit code', () => {
  test.each([
    ['broken/selector-typo', 'error', 1],
    ['broken/being-deleted', 'error', 0],
    ['broken/being-deleted', 'warning', 1],
    ['sound/affinity', 'warning', 0],
    ['sound/affinity', 'notice', 1],
    ['sound/cluster-ip', 'notice', 0],
  ])('of %s with --fail-on %s is %i', async (name, failOn, expected) => {
    expect((await explain(name, 'web', '--fail-on', failOn)).code).toBe(expected)
  })

  test('is 1 when a part of the input could not be read, whatever was found', async () => {
    const stdin = 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: None}\n---\nnot: [yaml\n'
    const { code, stderr } = await sluice(['explain', 'web', '-f', '-'], { stdin })
    expect([code, stderr]).toEqual([1, expect.stringContaining('error: <stdin>, document 2, line 7: broken YAML')])
  })
})

describe('errors', () => {
  const unknown = 'sluice: there is no Service'
  test.each<[readonly string[], string]>([
    [['wbe'], `${unknown} wbe in namespace default: did you mean default/web?`],
    [['shop/wep'], `${unknown} wep in namespace shop: did you mean shop/web?`],
    [
      ['kube-system/web'],
      `${unknown} web in namespace kube-system, but there is default/web, shop/web: give its namespace`,
    ],
    [['mysql'], `${unknown} mysql in namespace default: it has default/web`],
    [['prod/mysql'], `${unknown} mysql in namespace prod: that namespace has none; there are 2 Services in others`],
    [
      ['-n', 'prod'],
      `${unknown.replace(' Service', ' Service in namespace prod')}: those with Services are default, shop`,
    ],
    [['a/b/c'], 'sluice: a/b/c is not the name of a Service: write NAMESPACE/SERVICE, such as default/web'],
    [['/web'], 'sluice: /web is not the name of a Service: write NAMESPACE/SERVICE, such as default/web'],
    [['shop/web', '-n', 'default'], 'sluice: shop/web names namespace shop, and -n names default: give one of them'],
    [['web', '-A'], 'sluice: -A asks for every Service: leave out the name and -n, or -A'],
    [[], 'sluice: which Service? Give NAMESPACE/SERVICE, -n NAMESPACE for all of one, or -A for all'],
    [
      ['web', '--client', 'pod-1'],
      'sluice: --client pod-1: this is not an IP address: write one such as 203.0.113.9 or fd00::9',
    ],
    [
      ['web', '--to', 'web:80'],
      'sluice: --to web:80: write ADDRESS:PORT or ADDRESS:PORT/PROTOCOL, such as 10.96.0.10:80 or [fd00::10]:53/udp',
    ],
    [['web', '--to', '10.96.0.10:0'], 'sluice: --to 10.96.0.10:0: port 0 is out of range: use a port from 1 to 65535'],
    [
      ['web', '--node', 'node9'],
      'sluice: unknown node node9: the input has node1, node2; give --node with one of them',
    ],
    [['web', '--dump', '/nonexistent', '--node', 'node1'], 'sluice: '],
    [['web', '--live', '--dump', 'x'], 'sluice: --dump and --live exclude each other'],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await explain('sound/pods-of-others', ...args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
  })

  test('unreadable input', async () => {
    const missing = await sluice(['explain', 'web', '-f', '/nonexistent'])
    expect([missing.code, missing.stderr]).toEqual([
      2,
      "sluice: can't read /nonexistent: there is no such file or directory: check the path\n",
    ])
    const empty = await sluice(['explain', 'web', '-f', '-'], { stdin: '' })
    expect([empty.code, empty.stderr]).toEqual([2, expect.stringContaining('holds no Kubernetes object')])
  })

  test('an input without any Service', async () => {
    const stdin = 'apiVersion: v1\nkind: Node\nmetadata: {name: node1}\n'
    const { code, stderr } = await sluice(['explain', 'web', '-f', '-'], { stdin })
    expect([code, stderr]).toEqual([2, expect.stringContaining('the input has no Service at all')])
  })

  test('svc/web is kubectl for web', async () => {
    expect((await explain('sound/cluster-ip', 'svc/web')).code).toBe(0)
    expect((await explain('sound/pods-of-others', 'service/web', '-n', 'shop')).stdout).toContain('Service shop/web')
  })
})

describe('--dump', () => {
  test('compares the rules of the node with those that the objects come to', async () => {
    const rendered = await sluice(['render', '-f', file('sound/node-port'), '--node', 'node1', ...FLAGS])
    const place = ['web', '--node', 'node1']
    using folder = disposableFolder()
    const dump = path.join(folder.path, 'rules.txt')
    writeFileSync(dump, rendered.stdout)
    expect((await explain('sound/node-port', ...place, '--dump', dump)).code).toBe(0)
    writeFileSync(dump, rendered.stdout.replace(/^.*default\/web:http cluster IP.*-j KUBE-SVC.*\n/m, ''))
    const { code, stdout } = await explain('sound/node-port', ...place, '--dump', dump)
    expect([code, stdout]).toEqual([1, expect.stringContaining('KUBE-SERVICES of nat lacks its')])
  })
})

describe('a live cluster', () => {
  let folder: Folder
  beforeEach(() => {
    folder = temporaryFolder()
    vi.stubEnv('HOME', folder.path)
    vi.stubEnv('KUBECONFIG', undefined)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    folder[Symbol.dispose]()
  })
  const pod = {
    metadata: { namespace: 'shop', name: 'web-1', labels: { app: 'web' } },
    spec: { containers: [{ name: 'app' }] },
    status: {
      phase: 'Running',
      podIP: '10.180.0.1',
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [{ name: 'app', ready: false, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
    },
  }

  test('is read with its Pods, and with the Services that no rule is made of', async () => {
    await using server = await startApiServer()
    server.store.put('services', rawService({ selector: { app: 'web' } }))
    server.store.put(
      'services',
      rawService({ clusterIP: 'None', clusterIPs: ['None'] }, { metadata: { namespace: 'shop', name: 'headless' } }),
    )
    server.store.put('endpointslices', {
      ...rawSlice(),
      endpoints: [{ addresses: ['10.180.0.1'], conditions: { ready: false } }],
    })
    server.store.put('nodes', rawNode())
    server.store.put('pods', pod)
    const config = ['--kubeconfig', folder.write('config', oneContext({ server: server.url }))]
    const one = await sluice(['explain', 'shop/web', ...config])
    expect(one.stdout).toContain('Container app does not run: CrashLoopBackOff.')
    expect((await sluice(['explain', 'shop/headless', ...config])).stdout).toContain('The Service is headless')
    expect((await sluice(['explain', '-A', ...config, '-o', 'json'])).stdout).toContain('"check": "container-stopped"')
  })

  test('that does not show its Pods is explained without them', async () => {
    await using server = await startApiServer()
    server.store.put('services', rawService({ selector: { app: 'web' } }))
    server.store.put('nodes', rawNode())
    server.forbidden.add('pods')
    const config = ['--kubeconfig', folder.write('config', oneContext({ server: server.url }))]
    const { code, stdout, stderr } = await sluice(['explain', 'shop/web', ...config])
    expect([code, stdout]).toEqual([1, expect.stringContaining('The Service has no endpoints at all')])
    expect(stderr).toContain('Pods are not looked at: ')
  })
})

test('the interfaces of this machine are read with their MTUs', () => {
  const links = readLinks()
  expect(links.find(({ name }) => name === 'lo')).toMatchObject({ kind: '', toPod: false, uplink: false })
  expect(readLinks('/nonexistent', '/nonexistent')).toEqual([])
})

function disposableFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-explain-'))
  return { path: folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}
