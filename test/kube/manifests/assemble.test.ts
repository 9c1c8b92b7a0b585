import { describe, expect, it } from 'vitest'
import { assembleSnapshot } from '../../../src/kube/manifests/assemble.ts'
import { parseDocuments } from '../../../src/kube/manifests/documents.ts'
import { formatIssue } from '../../../src/model/issue.ts'
import { placed, rawNode, rawService, rawSlice } from '../../support/raw-objects.ts'

const named = (name: string) => ({ metadata: { name, namespace: 'shop' } })
const slice = (name: string, port: number) =>
  rawSlice({
    metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    ports: [{ name: '', port }],
  })

describe('a Snapshot', () => {
  it('has Services by key, their slices by name, and Nodes, whatever the order of the input', () => {
    const objects = placed(slice('web-b', 2), rawService({}, named('zoo')), slice('web-a', 1), rawService(), rawNode())
    for (const input of [objects, objects.toReversed()]) {
      const { snapshot, issues } = assembleSnapshot(input)
      expect(issues).toEqual([])
      expect(snapshot.services.map(({ key }) => key)).toEqual(['shop/web', 'shop/zoo'])
      expect(snapshot.services[0]?.slices.map(({ name }) => name)).toEqual(['web-a', 'web-b'])
      expect(snapshot.services[1]?.slices).toEqual([])
      expect([...snapshot.nodes.keys()]).toEqual(['node-1'])
    }
  })

  it('counts other kinds, and a Service of another group is one of them', () => {
    const { ignoredKinds, issues } = assembleSnapshot(
      placed(
        { apiVersion: 'v1', kind: 'ConfigMap' },
        { apiVersion: 'v1', kind: 'ConfigMap' },
        { apiVersion: 'serving.knative.dev/v1', kind: 'Service' },
        { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration' },
      ),
    )
    expect(Object.fromEntries(ignoredKinds)).toEqual({
      ConfigMap: 2,
      'Service.serving.knative.dev': 1,
      KubeProxyConfiguration: 1,
    })
    expect(issues).toEqual([])
  })

  it('refuses other versions of the kinds it reads', () => {
    const { issues } = assembleSnapshot(placed(rawSlice({ apiVersion: 'discovery.k8s.io/v1beta1' })))
    expect(issues.map(formatIssue)).toEqual([
      '1.yaml: EndpointSlice shop/web-1 apiVersion: "discovery.k8s.io/v1beta1" is not read: write EndpointSlice objects as discovery.k8s.io/v1',
    ])
  })

  it.each([
    [{ apiVersion: 'v1' }, '1.yaml: object default/(no name) kind: is missing: write one, as in `kind: Service`'],
    [
      { kind: 'Service', ...named('a') },
      '1.yaml: Service shop/a apiVersion: is missing: write one, as in `apiVersion: v1`',
    ],
    [
      { kind: 5, apiVersion: 'v1' },
      '1.yaml: object default/(no name) kind: 5 is not text: write one, as in `kind: Service`',
    ],
  ])('says what an incomplete object lacks: %j', (value, message) => {
    expect(assembleSnapshot(placed(value)).issues.map(formatIssue)).toEqual([message])
  })

  it('takes the later of two objects of one name and names both places', () => {
    const text = `${JSON.stringify(rawService())}\n${JSON.stringify(rawService({ clusterIP: '172.30.0.42' }))}`
    const { snapshot, issues } = assembleSnapshot(parseDocuments(text, 'f.json').objects)
    expect(snapshot.services.map(({ service }) => service.clusterIPs)).toEqual([{ ipv4: '172.30.0.42' }])
    expect(issues.map(formatIssue)).toEqual([
      'f.json, line 2: Service shop/web: is given twice, and this one counts instead of the one at f.json, line 1: keep one of them',
    ])
  })

  it('does not take objects of one name and several namespaces or kinds for one', () => {
    const other = rawService({}, { metadata: { name: 'web', namespace: 'other' } })
    const { issues } = assembleSnapshot(placed(rawService(), other, rawNode({ metadata: { name: 'web' } })))
    expect(issues).toEqual([])
  })

  it('uses the good objects beside the bad ones', () => {
    const { snapshot, issues } = assembleSnapshot(
      placed(rawService({ ports: 1 }, named('bad')), rawService(), slice('w', 1)),
    )
    expect(snapshot.services.map(({ key }) => key)).toEqual(['shop/web'])
    expect(issues).toHaveLength(1)
  })

  it('derives the endpoints of Services without slices, and counts from where', () => {
    const endpoints = {
      apiVersion: 'v1',
      kind: 'Endpoints',
      ...named('old'),
      subsets: [{ addresses: [{ ip: '10.0.0.7' }], ports: [{ port: 80 }] }],
    }
    const { snapshot, derived } = assembleSnapshot(
      placed(rawService(), slice('web-a', 1), rawService({}, named('old')), endpoints, rawService({}, named('none'))),
    )
    expect(Object.fromEntries(derived)).toEqual({ Endpoints: 1, nothing: 1 })
    const old = snapshot.services.find(({ key }) => key === 'shop/old')
    expect(old?.slices.flatMap((entry) => entry.endpoints.map(({ ip }) => ip))).toEqual(['10.0.0.7'])
  })

  it('derives nothing for a Service whose slice is bad', () => {
    const { derived } = assembleSnapshot(placed(rawService(), rawSlice({ addressType: 'IPv5' })))
    expect(derived.size).toBe(0)
  })

  it('says nothing about slices of a Service that was refused', () => {
    const { issues } = assembleSnapshot(placed(rawService({ clusterIP: 'x' }), rawSlice()))
    expect(issues.map(({ at }) => at.field)).toEqual(['spec.clusterIP'])
  })
})
