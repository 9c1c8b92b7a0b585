import { expect, test } from 'vitest'
import { FLAGS_WITHOUT_EFFECT } from '../../../src/kube/config/flags-without-effect.ts'
import { findProxyFlag } from '../../../src/kube/config/proxy-flag-table.ts'
import { resolveProxyConfig } from '../../../src/kube/config/proxy-flags.ts'
import { findSettingsWithoutEffect } from '../../../src/kube/config/without-effect.ts'

function settingsOf(flags: Readonly<Record<string, string>>, configText?: string): readonly string[] {
  const given = new Map(Object.entries(flags))
  const { effective } = resolveProxyConfig({ flags: given, ...(configText !== undefined && { configText }) })
  if (effective === undefined) throw new Error('the configuration is invalid')
  return findSettingsWithoutEffect(effective.document, new Set(given.keys())).map(({ setting }) => setting)
}

test('all of them are flags of kube-proxy', () => {
  const unknown = Object.keys(FLAGS_WITHOUT_EFFECT).filter((name) => findProxyFlag(name) === undefined)
  expect(unknown).toEqual([])
})

test('a flag that has no effect is named, one that has is not', () => {
  const flags = { vmodule: 'proxier=4', 'kube-api-qps': '50', 'boot-id-file': '/a', 'masquerade-all': 'true', v: '4' }
  expect(settingsOf(flags)).toEqual(['clientConnection.qps', '--boot-id-file', 'logging.vmodule'])
})

test('nothing is said of defaults', () => {
  expect(settingsOf({})).toEqual([])
  expect(settingsOf({ 'kube-api-qps': '5', 'config-sync-period': '15m' })).toEqual([])
})

test("a field of the file is named, and kubeadm's file has none", () => {
  const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'
  const kubeadm = `${head}clientConnection: { acceptContentTypes: "", burst: 0, contentType: "", qps: 0 }
configSyncPeriod: 0s
logging: { flushFrequency: 0, options: { json: { infoBufferSize: "0" }, text: { infoBufferSize: "0" } }, verbosity: 0 }
showHiddenMetricsForVersion: ""
`
  expect(settingsOf({}, kubeadm)).toEqual([])
  expect(settingsOf({}, `${head}configSyncPeriod: 5m\nlogging: { flushFrequency: 1s }\n`)).toEqual([
    'configSyncPeriod',
    'logging.flushFrequency',
  ])
})
