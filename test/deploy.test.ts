// What stands in deploy/: that it fits together, and asks for no more than sluice needs.
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { decodeProxyConfig } from '../src/index.ts'

const ROOT = path.join(import.meta.dirname, '..')
const DEPLOY = path.join(ROOT, 'deploy')
type Value = Record<string, unknown>

const files = globSync('**/*.{yaml,conf}', { cwd: DEPLOY }).toSorted((a, b) => (a < b ? -1 : 1))
const read = (name: string) => readFileSync(path.join(DEPLOY, name), 'utf8')

function documentsIn(name: string): readonly Value[] {
  return parseAllDocuments(read(name), { merge: true }).map((document) => {
    if (document.errors.length > 0) throw new Error(`${name}: ${document.errors.join()}`)
    return document.toJS() as Value
  })
}

/** What stands at the path: `spec.template.spec.containers.0`. */
function at(value: unknown, given: string): unknown {
  return given.split('.').reduce<unknown>((inner, key) => (inner as Value | undefined)?.[key], value)
}

const objects = [...documentsIn('base/rbac.yaml'), ...documentsIn('base/daemonset.yaml')]
const objectOf = (kind: string) => objects.find((object) => object['kind'] === kind)
const daemonSet = objectOf('DaemonSet')
const pod = at(daemonSet, 'spec.template.spec') as {
  readonly containers: readonly Value[]
  readonly initContainers: readonly Value[]
  readonly volumes: readonly Value[]
} & Value
const containers = [...pod.initContainers, ...pod.containers]
const main = pod.containers[0]

describe('kustomizations', () => {
  const kustomizations = files.filter((name) => path.basename(name) === 'kustomization.yaml')

  test('there are some', () => {
    expect(kustomizations.length).toBe(5)
  })

  test.each(kustomizations)('%s names only what exists', (name) => {
    const [kustomization = {}] = documentsIn(name)
    const {
      resources = [],
      patches = [],
      configMapGenerator = [],
    } = kustomization as {
      readonly resources?: readonly string[]
      readonly patches?: readonly { readonly path: string }[]
      readonly configMapGenerator?: readonly { readonly files: readonly string[] }[]
    }
    const named = [...resources, ...patches.map((patch) => patch.path), ...configMapGenerator.flatMap((it) => it.files)]
    const missing = named.filter((file) => !existsSync(path.join(DEPLOY, path.dirname(name), file)))
    expect(named.length).toBeGreaterThan(0)
    expect(missing).toEqual([])
  })

  test('patches change objects and fields that exist', () => {
    const generated = [{ kind: 'ConfigMap', metadata: { name: 'sluice' } }]
    for (const name of ['without-own-config.yaml', 'config-of-kube-proxy.yaml']) {
      const [patch = {}] = documentsIn(`overlays/kubeadm/${name}`)
      const patched = [...objects, ...generated].filter(
        (object) => at(object, 'kind') === patch['kind'] && at(object, 'metadata.name') === at(patch, 'metadata.name'),
      )
      expect(patched).toHaveLength(1)
    }
    const [patch] = documentsIn('overlays/kubeadm/config-of-kube-proxy.yaml')
    expect(pod.volumes.map((volume) => volume['name'])).toContain(at(patch, 'spec.template.spec.volumes.0.name'))
  })

  const kubectl = hasKubectl()
  if (!kubectl) process.stderr.write('SKIPPED: deploy: rendering, because kubectl is not installed\n')

  test.skipIf(!kubectl).each(['.', 'overlays/iptables', 'overlays/ipvs', 'overlays/kubeadm'])(
    '%s renders',
    (folder) => {
      const text = execFileSync('kubectl', ['kustomize', path.join(DEPLOY, folder)], { encoding: 'utf8' })
      const rendered = parseAllDocuments(text).map((document) => document.toJS() as Value)
      const set = rendered.find(({ kind }) => kind === 'DaemonSet')
      const volume = at(set, 'spec.template.spec.volumes.0.configMap.name')
      const maps = rendered.filter(({ kind }) => kind === 'ConfigMap').map((map) => at(map, 'metadata.name'))
      expect(rendered.map((object) => at(object, 'metadata.namespace') ?? object['kind'])).toEqual(
        rendered.map(({ kind }) => (String(kind).startsWith('ClusterRole') ? kind : 'kube-system')),
      )
      expect([maps, volume]).toEqual(folder === 'overlays/kubeadm' ? [[], 'kube-proxy'] : [[volume], volume])
    },
  )
})

function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['kustomize', '--help'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('the configuration', () => {
  test.each([
    ['base/config.conf', 'iptables'],
    ['overlays/iptables/config.conf', 'iptables'],
    ['overlays/ipvs/config.conf', 'ipvs'],
  ])('%s is one that kube-proxy would take, of mode %s', (name, mode) => {
    const { config, issues } = decodeProxyConfig(read(name), name)
    expect(issues).toEqual([])
    expect(config?.mode).toBe(mode)
  })

  test('has the keys of the ConfigMap that kubeadm makes, at the paths that it uses', () => {
    const [{ configMapGenerator } = {}] = documentsIn('base/kustomization.yaml')
    expect(at(configMapGenerator, '0.files')).toEqual(['config.conf', 'kubeconfig.conf'])
    expect(read('base/config.conf')).toContain('kubeconfig: /var/lib/kube-proxy/kubeconfig.conf')
    for (const container of containers) {
      expect(at(container, 'volumeMounts.0')).toEqual({
        name: 'config',
        mountPath: '/var/lib/kube-proxy',
        readOnly: true,
      })
      expect(container['args']).toContain('--config=/var/lib/kube-proxy/config.conf')
      expect(container['args']).toContain('--hostname-override=$(NODE_NAME)')
    }
  })
})

describe('the DaemonSet', () => {
  test('runs on every Linux node, before and after everything else', () => {
    expect(pod).toMatchObject({
      hostNetwork: true,
      priorityClassName: 'system-node-critical',
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [{ operator: 'Exists' }],
      serviceAccountName: at(objectOf('ServiceAccount'), 'metadata.name'),
    })
    expect(at(daemonSet, 'spec.updateStrategy.rollingUpdate.maxUnavailable')).toBe('10%')
    expect(at(daemonSet, 'spec.template.metadata.labels')).toEqual(at(daemonSet, 'spec.selector.matchLabels'))
  })

  test('probes what kube-proxy serves', () => {
    expect(at(main, 'ports.0')).toMatchObject({ name: 'healthz', containerPort: 10256 })
    for (const probe of ['startupProbe', 'livenessProbe']) {
      expect(at(main, `${probe}.httpGet`)).toEqual({ path: '/livez', port: 'healthz' })
    }
    expect(at(main, 'readinessProbe.httpGet')).toEqual({ path: '/healthz', port: 'healthz' })
  })

  test('mounts only volumes that it has, and uses all of them', () => {
    const names = pod.volumes.map((volume) => volume['name'])
    for (const container of containers) {
      expect((container['volumeMounts'] as readonly Value[]).map((mount) => mount['name'])).toEqual(names)
    }
    expect(pod.volumes.find(({ name }) => name === 'xtables-lock')?.['hostPath']).toEqual({
      path: '/run/xtables.lock',
      type: 'FileOrCreate',
    })
  })

  test('is privileged only where it ends at once', () => {
    expect(pod.initContainers.map((container) => at(container, 'securityContext.privileged'))).toEqual([true])
    expect(at(pod.initContainers[0], 'args')).toContain('--init-only')
    expect(at(main, 'securityContext')).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true })
    expect(at(main, 'securityContext.privileged')).toBeUndefined()
    expect(at(main, 'securityContext.capabilities')).toEqual({ drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] })
  })

  test('says of every capability what it is for', () => {
    const lines = read('base/daemonset.yaml').split('\n')
    const added = lines.flatMap((line, index) => (/^\s+- [A-Z_]+$/.test(line) ? [index] : []))
    expect(added.length).toBe(2)
    for (const index of added) expect(lines[index - 1]).toMatch(/^\s+# /)
  })
})

describe('access to the API server', () => {
  test('is what the sources ask for, and no more', () => {
    const rules = at(objectOf('ClusterRole'), 'rules') as readonly {
      readonly apiGroups: readonly string[]
      readonly resources: readonly string[]
      readonly verbs: readonly string[]
    }[]
    const granted = rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    )
    expect(new Set(granted)).toEqual(
      new Set([
        'list /services',
        'watch /services',
        'list /nodes',
        'watch /nodes',
        'list discovery.k8s.io/endpointslices',
        'watch discovery.k8s.io/endpointslices',
        'create events.k8s.io/events',
      ]),
    )
    expect(granted.filter((grant) => /\*|secrets|pods/.test(grant))).toEqual([])
  })

  test('goes to the account of the DaemonSet', () => {
    const binding = objectOf('ClusterRoleBinding')
    expect(at(binding, 'roleRef.name')).toBe(at(objectOf('ClusterRole'), 'metadata.name'))
    expect(at(binding, 'subjects.0')).toEqual({ kind: 'ServiceAccount', name: pod['serviceAccountName'] })
  })
})

describe('the image', () => {
  const dockerfile = read('Dockerfile')

  test('copies only files that exist', () => {
    const copied = dockerfile
      .split('\n')
      .filter((line) => line.startsWith('COPY') && !line.includes('--from='))
      .flatMap((line) =>
        line
          .split(' ')
          .slice(1, -1)
          .filter((word) => !word.startsWith('--')),
      )
    expect(copied.length).toBeGreaterThan(5)
    expect(copied.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([])
    const kept = read('Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
    expect(kept.map((line) => line.slice(1)).toSorted()).toEqual(copied.toSorted())
  })

  test('holds every tool that sluice starts', () => {
    for (const name of ['iptables', 'ipset', 'ipvsadm', 'nftables', 'conntrack', 'kmod', 'nfacct']) {
      expect(dockerfile).toMatch(new RegExp(`^ +.*\\b${name}\\b`, 'm'))
    }
  })

  test('is pinned by tags and starts the bundle', () => {
    for (const [, image] of dockerfile.matchAll(/^ARG \w+_IMAGE=(.*)$/gm)) expect(image).toMatch(/^[\w/]+:[\w.-]+$/)
    expect(dockerfile).toContain('"/opt/sluice/dist/sluice.bundle.mjs"]')
  })
})
