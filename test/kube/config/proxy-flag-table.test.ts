import { expect, test } from 'vitest'
import { defaultProxyConfig } from '../../../src/kube/config/proxy-config.ts'
import { findProxyFlag } from '../../../src/kube/config/proxy-flag-table.ts'
import { applyFlags, PROXY_FLAGS } from '../../../src/kube/config/proxy-flags.ts'

test('names are unique and in their normal form', () => {
  const names = PROXY_FLAGS.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(names.filter((name) => !/^[a-z]+(-[a-z]+)*$/.test(name))).toEqual([])
})

test('a flag is found however it is typed', () => {
  expect(findProxyFlag('--proxy_mode')?.name).toBe('proxy-mode')
  expect(findProxyFlag('-v')?.name).toBe('v')
  expect(findProxyFlag('no-such-flag')).toBeUndefined()
})

test('the flags that decide about rules are marked', () => {
  const marked = PROXY_FLAGS.filter(({ bearsOnRules }) => bearsOnRules).map(({ name }) => name)
  const expected = ['cluster-cidr', 'nodeport-addresses', 'masquerade-all', 'config', 'hostname-override']
  expect(marked).toEqual(expect.arrayContaining(expected))
  expect(marked).not.toContain('metrics-bind-address')
})

test('every shown default gives the same configuration as no flag', () => {
  const shown = PROXY_FLAGS.filter(({ default: value, deprecated }) => value !== '' && deprecated === undefined)
  // These name what the empty default stands for.
  const flags = new Map(
    shown
      .filter(({ name }) => !/^ipvs-(min-)?sync-period$|^ipvs-scheduler$/.test(name))
      .map((flag) => [flag.name, flag.default]),
  )
  expect(applyFlags(flags)).toMatchObject({ config: defaultProxyConfig(), issues: [], problems: [] })
})
