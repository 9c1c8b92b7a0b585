import { describe, expect, test } from 'vitest'
import { decodeProxyConfig } from '../../../src/kube/config/proxy-config.ts'
import { formatIssue } from '../../../src/model/issue.ts'
import { decode, HEADER } from '../../support/proxy-config-text.ts'

function refuse(text: string): readonly string[] {
  const { config, issues } = decodeProxyConfig(text, 'config.yaml')
  expect(config).toBeUndefined()
  return issues.filter(({ severity }) => severity === 'error').map(formatIssue)
}

function notices(body: string): readonly string[] {
  const { config, issues } = decode(body)
  expect(config).toBeDefined()
  expect(issues.every(({ severity }) => severity === 'notice')).toBe(true)
  return issues.map(formatIssue)
}

describe('reading the file', () => {
  test('JSON is read like YAML', () => {
    const json = `{"apiVersion": "kubeproxy.config.k8s.io/v1alpha1",\n\t"kind": "KubeProxyConfiguration",\n\t"iptables": {"masqueradeBit": 9}}`
    expect(decodeProxyConfig(json, 'config.json').config?.masqueradeBit).toBe(9)
  })

  test('unknown fields are ignored with a notice that names the field and the line', () => {
    const body = 'iptables:\n  masqueradeBit: 9\n  masquerade: true\nmodes: ipvs\nlogging: {vmodule: [{x: 1}]}\n'
    expect(decode(body).config?.masqueradeBit).toBe(9)
    expect(notices(body)).toEqual([
      expect.stringMatching(/^config\.yaml, line 5: iptables\.masquerade: unknown field/),
      expect.stringMatching(/^config\.yaml, line 6: modes: unknown field modes is ignored/),
      expect.stringMatching(/^config\.yaml, line 7: logging\.vmodule\[0\]\.x: unknown field/),
    ])
  })

  test('the last of two equal keys counts, with a notice', () => {
    const body = 'mode: ipvs\nmode: iptables\niptables: {masqueradeBit: 3}\niptables: {masqueradeAll: true}\n'
    expect(decode(body).config).toMatchObject({ mode: 'iptables', masqueradeBit: 14, masqueradeAll: true })
    expect(notices(body)).toEqual([
      expect.stringMatching(/^config\.yaml, line 4: mode stands here a second time/),
      expect.stringMatching(/^config\.yaml, line 6: iptables stands here a second time/),
    ])
  })

  test('documents after the first are ignored with a notice', () => {
    expect(notices('mode: ipvs\n---\nmode: nftables\n')).toEqual([
      expect.stringMatching(/^config\.yaml, document 2, line 4: only the first document is read/),
    ])
    expect(decode('mode: ipvs\n---\nmode: nftables\n').config?.mode).toBe('ipvs')
  })

  test.each([
    ['', /is empty/],
    ['# nothing\n', /is empty/],
    ['- 1\n', /does not hold a mapping of fields: write apiVersion: kubeproxy\.config\.k8s\.io\/v1alpha1/],
    ['mode: ipvs\nkind: KubeProxyConfiguration\n', /apiVersion is missing: write apiVersion: kubeproxy/],
    ['apiVersion: kubeproxy.config.k8s.io/v1alpha1\n', /kind is missing: write .*kind: KubeProxyConfiguration/],
    [
      'kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1\n',
      /line 2: apiVersion: found apiVersion "kubeproxy\.config\.k8s\.io\/v1", .*v1alpha1/,
    ],
    [
      'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeletConfiguration\n',
      /line 2: kind: found .*kind "KubeletConfiguration": write .*kind: KubeProxyConfiguration/,
    ],
    ['apiVersion: v1\nkind: ConfigMap\n', /pass the text of its key config\.conf/],
    [`${HEADER}iptables: {masqueradeBit: 3\n`, /not valid YAML or JSON/],
    [`${HEADER}mode: *other\n`, /Unresolved alias/],
  ])('%j is refused', (text, message) => {
    expect(refuse(text)).toEqual([expect.stringMatching(message)])
  })

  test.each([
    ['mode: 5', /line 3: mode: expected text, found the number 5/],
    ['iptables:\n  masqueradeBit: "7"', /line 4: iptables\.masqueradeBit: expected a number, found the text "7"/],
    ['iptables: {masqueradeBit: 1.5}', /iptables\.masqueradeBit: 1\.5 does not fit: use a whole number/],
    ['oomScoreAdj: 2147483648', /oomScoreAdj: 2147483648 does not fit/],
    ['iptables: {masqueradeAll: yes}', /masqueradeAll: expected a boolean, found the text "yes": write true or false/],
    ['iptables: [1]', /iptables: expected a mapping of fields, found a list/],
    ['iptables: 1', /iptables: expected a mapping of fields, found the number 1/],
    ['nodePortAddresses: 10.0.0.0/8', /nodePortAddresses: expected a list, found the text "10\.0\.0\.0\/8"/],
    ['nodePortAddresses:\n- 10.0.0.0/8\n- 5', /line 5: nodePortAddresses\[1\]: expected text, found the number 5/],
    ['featureGates: {X: "true"}', /featureGates\.X: expected a boolean, found the text "true"/],
    ['clientConnection: {qps: .inf}', /clientConnection\.qps: not a finite number/],
    ['configSyncPeriod: 15', /configSyncPeriod: the number 15 is not a duration: .*"30s"/],
    ['iptables: {syncPeriod: 30}', /iptables\.syncPeriod: the number 30 is not a duration/],
    ['iptables: {syncPeriod: null}', /iptables\.syncPeriod: nothing is not a duration/],
    ['iptables: {syncPeriod: ""}', /iptables\.syncPeriod: not a duration \(time: invalid duration ""\)/],
    ['conntrack: {tcpCloseWaitTimeout: 1d}', /tcpCloseWaitTimeout: not a duration \(time: unknown unit "d"/],
    ['iptables: {masqueradeBit: 010}', /line 3: 010 could be octal or decimal: write it without leading zeros/],
    ['logging: {verbosity: -1}', /logging\.verbosity: -1 does not fit/],
  ])('%j is refused, with the field and what it should be', (body, message) => {
    expect(refuse(HEADER + body)).toEqual([expect.stringMatching(message)])
  })

  test('all wrong types are reported at once', () => {
    expect(refuse(`${HEADER}mode: 1\noomScoreAdj: x\nconntrack: {min: x}`)).toHaveLength(3)
  })
})
