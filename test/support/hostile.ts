// Generates objects of the API in which strangers wrote what they liked: every field can hold a string that tries to
// break out of its place in a rule line or payload, or a value of another type.
import * as fc from 'fast-check'
import { elsewhere, here, ingress, service, slice } from './compiled-lines.ts'

type Fields = Record<string, unknown>
type Path = readonly (string | number)[]

const BREAKOUTS = [
  '',
  ' ',
  '"',
  "'",
  '\\',
  '\\"',
  '" -j ACCEPT -m comment --comment "',
  '-j ACCEPT',
  ' -j ACCEPT',
  '; reboot',
  '$(reboot)',
  '\n-A INPUT -j ACCEPT',
  '\r\n-A INPUT -j ACCEPT\r\n',
  'x\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n-F INPUT\nCOMMIT\n',
  '\u2028-A INPUT -j ACCEPT',
  '\u2029COMMIT',
  '\u0085COMMIT',
  '\u000bCOMMIT',
  'COMMIT',
  '*nat',
  ':INPUT DROP [0:0]',
  '# comment',
  '--',
  '!',
  '\0',
  'svc1\0',
  'svc1\n',
  '\u001b[2J',
  '\u202etxet',
  '\u200b',
  '\ufeff',
  '\ud800',
  'é',
  'ｓｖｃ',
  'İ',
  '١٢٣',
  '😀',
  'A'.repeat(5000),
  'a'.repeat(64),
  '../../etc/passwd',
  '%s%n',
  '{{7*7}}',
  '__proto__',
  'constructor',
  'toString',
  'KUBE-SERVICES',
  '0.0.0.0/0 -j ACCEPT',
  '10.0.0.1 -j ACCEPT',
  '10.0.0.1\n',
  '10.0.0.1,10.0.0.2',
  '10.0.0.1-10.0.0.9',
  '10.0.0.1/8',
  '1.2.3.4:80',
  '[::1]',
  '::1%eth0 -j ACCEPT',
  'fe80::1%25lo',
  '0x7f.1',
  '::ffff:1.2.3.4',
  'TCP',
  'tcp -j ACCEPT',
  'IPv4\n',
  'Local ',
]
const STRANGE_VALUES = [
  null,
  true,
  [],
  {},
  [[]],
  [null],
  { length: 1 },
  -1,
  0,
  0.5,
  65_536,
  1e308,
  Number.MAX_SAFE_INTEGER + 2,
  '80',
  '80 -j ACCEPT',
  30_000,
]

const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...BREAKOUTS) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
  // In the middle of something harmless.
  { weight: 1, arbitrary: fc.constantFrom(...BREAKOUTS).map((text) => `a${text}b`) },
)

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  { weight: 1, arbitrary: fc.constantFrom(...STRANGE_VALUES) },
)

/** Text for parseDocuments: a list of objects, some of whose fields are not what they should be. */
export function hostileDocument(): fc.Arbitrary<string> {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(), hostileValue), { minLength: 1, maxLength: 4 })
  return changes.map((chosen) => {
    const items = structuredClone(TEMPLATE)
    for (const [at, place, value] of chosen) {
      const item = items[at % items.length] ?? {}
      const paths = pathsOf(item)
      replace(item, paths[place % paths.length] ?? [], value)
    }
    return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  })
}

/** Every field that is read, with harmless values. */
const TEMPLATE: readonly Fields[] = [
  service(
    {
      type: 'LoadBalancer',
      clusterIPs: ['172.30.0.41', 'fd00:30::41'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: [
        { name: 'p80', port: 80, protocol: 'TCP', nodePort: 30_000, targetPort: 'web' },
        { name: 'dns', port: 53, protocol: 'UDP', nodePort: 30_001 },
      ],
      externalIPs: ['192.0.2.1', '2001:db8::1'],
      loadBalancerSourceRanges: ['203.0.113.0/25', '192.168.0.0/16', '2001:db8::/32'],
      externalTrafficPolicy: 'Local',
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 100 } },
      healthCheckNodePort: 32_000,
      selector: { app: 'web' },
    },
    {
      metadata: { namespace: 'ns1', name: 'svc1', labels: { app: 'web' }, annotations: { note: 'x' } },
      ...ingress({ ip: '192.0.2.9', ipMode: 'VIP', hostname: 'x' }, { ip: '2001:db8::9' }),
    },
  ),
  service({ ports: [{ name: 'p80', port: 80, protocol: 'TCP' }] }, { metadata: { namespace: 'ns1', name: 'svc2' } }),
  slice([
    here('10.180.0.1', { conditions: { ready: true, serving: true, terminating: false } }),
    elsewhere('10.180.0.2', { hints: { forZones: [{ name: 'za' }], forNodes: [{ name: 'node1' }] } }),
  ]),
  slice(['fd00:10::1'], {
    addressType: 'IPv6',
    metadata: { namespace: 'ns1', name: 'svc1-6', labels: { 'kubernetes.io/service-name': 'svc1' } },
  }),
  slice(['10.180.0.3'], {
    metadata: { namespace: 'ns1', name: 'svc2-1', labels: { 'kubernetes.io/service-name': 'svc2' } },
  }),
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node1', labels: { 'topology.kubernetes.io/zone': 'za' } },
    spec: { podCIDR: '10.180.0.0/24', podCIDRs: ['10.180.0.0/24', 'fd00:10::/64'] },
    status: {
      addresses: [
        { type: 'InternalIP', address: '192.168.1.63' },
        { type: 'InternalIP', address: 'fd00:192::63' },
      ],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pod1', namespace: 'ns1', labels: { app: 'web' } },
    spec: { nodeName: 'node1', containers: [{ ports: [{ name: 'web', containerPort: 8080, protocol: 'TCP' }] }] },
    status: { podIPs: [{ ip: '10.180.0.7' }], phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  },
]

/** Paths of all values below, maps and lists included. */
function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const below = Object.entries(value).flatMap(([key, child]) =>
    pathsOf(child, [...path, Array.isArray(value) ? Number(key) : key]),
  )
  return path.length === 0 ? below : [path, ...below]
}

function replace(root: Fields, path: Path, value: unknown): void {
  let parent: unknown = root
  for (const key of path.slice(0, -1)) {
    if (typeof parent !== 'object' || parent === null) return
    parent = (parent as Fields)[key]
  }
  const last = path.at(-1)
  if (typeof parent === 'object' && parent !== null && last !== undefined) (parent as Fields)[last] = value
}
