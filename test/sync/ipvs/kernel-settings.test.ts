import { describe, expect, test } from 'vitest'
import type { IpvsConfig } from '../../../src/model/config.ts'
import { IPVS_SYSCTL_PATHS, ipvsTimeoutCommand, planIpvsSysctls } from '../../../src/sync/ipvs/kernel-settings.ts'

const MODERN = { strictARP: false, kernelRelease: '6.1.0-18-amd64' }

function written(needs: typeof MODERN, current: ReadonlyMap<string, number> = new Map()): readonly string[] {
  return planIpvsSysctls(needs, current).map(({ path, value }) => `${path.replace('/proc/sys/net/ipv4/', '')}=${value}`)
}

describe('planIpvsSysctls', () => {
  test("asks for kube-proxy's settings, in its order", () => {
    expect(written(MODERN)).toEqual([
      'vs/conntrack=1',
      'vs/expire_nodest_conn=1',
      'vs/expire_quiescent_template=1',
      'ip_forward=1',
    ])
    expect(written({ ...MODERN, strictARP: true }).slice(-2)).toEqual([
      'conf/all/arp_ignore=1',
      'conf/all/arp_announce=2',
    ])
  })

  test.each([
    ['4.0.9', false],
    ['4.1.0', true],
    ['4.19.0-26-amd64', true],
    ['5.8.18', true],
    ['5.9.0', false],
    ['5.10.0-28-amd64', false],
    ['not a version', false],
  ])('on kernel %s switches connection reuse off: %s', (kernelRelease, expected) => {
    expect(written({ strictARP: false, kernelRelease }).includes('vs/conn_reuse_mode=0')).toBe(expected)
  })

  test('writes nothing that is as wanted', () => {
    const current = new Map(IPVS_SYSCTL_PATHS.map((path) => [path, 1]))
    expect(written(MODERN, current)).toEqual([])
    expect(written({ ...MODERN, strictARP: true }, current)).toEqual(['conf/all/arp_announce=2'])
  })
})

describe('ipvsTimeoutCommand', () => {
  const config = (tcpTimeout: number, tcpFinTimeout: number, udpTimeout: number): IpvsConfig => ({
    scheduler: '',
    excludeCIDRs: [],
    strictARP: false,
    tcpTimeout,
    tcpFinTimeout,
    udpTimeout,
  })

  test('sets all three when one is configured, in whole seconds', () => {
    expect(ipvsTimeoutCommand(config(0, 0, 0))).toBeUndefined()
    expect(ipvsTimeoutCommand(config(900_000, 0, 1_500))).toEqual(['ipvsadm', '--set', '900', '0', '1'])
  })
})
