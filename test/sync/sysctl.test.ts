// Kernel settings: what a configuration asks for, and what is written into a pretended /proc.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { applySysctls, countCpus, readSysctls, SysctlError, writeOomScore } from '../../src/host/sysctl-files.ts'
import type { ConntrackConfig } from '../../src/model/config.ts'
import { conntrackMax, planSysctls, SYSCTL_PATHS } from '../../src/sync/sysctl.ts'

const NOTHING: ConntrackConfig = {
  maxPerCore: 0,
  min: 0,
  tcpEstablishedTimeout: 0,
  tcpCloseWaitTimeout: 0,
  tcpBeLiberal: false,
  udpTimeout: 0,
  udpStreamTimeout: 0,
}
/** kube-proxy's defaults. */
const DEFAULTS: ConntrackConfig = {
  ...NOTHING,
  maxPerCore: 32_768,
  min: 131_072,
  tcpEstablishedTimeout: 86_400_000,
  tcpCloseWaitTimeout: 3_600_000,
}

function plan(conntrack: ConntrackConfig, cpus = 2, current: Readonly<Record<string, number>> = {}) {
  const needs = { conntrack, cpus, localhostNodePorts: false }
  return planSysctls(needs, new Map(Object.entries(current))).map(({ path: file, value }) => `${file} = ${value}`)
}

describe('the size of the connection table', () => {
  test.each([
    [0, 131_072, 64, 0, 'nothing per core leaves it alone, whatever the minimum'],
    [32_768, 131_072, 2, 131_072, 'the minimum'],
    [32_768, 131_072, 8, 262_144, 'so much per core'],
    [32_768, 131_072, 64, 1_048_576, 'the limit'],
    [32_768, 2_000_000, 64, 1_048_576, 'the limit, which wins over a larger minimum once the cores exceed it'],
    [32_768, 2_000_000, 2, 2_000_000, 'a minimum beyond the limit, when the cores do not exceed it'],
  ])('%i per core, at least %i, on %i CPUs: %i (%s)', (maxPerCore, min, cpus, expected) => {
    expect(conntrackMax({ ...NOTHING, maxPerCore, min }, cpus)).toBe(expected)
  })
})

describe('planSysctls', () => {
  test('writes the table and the TCP times of the defaults', () => {
    expect(plan(DEFAULTS)).toEqual([
      '/proc/sys/net/netfilter/nf_conntrack_max = 131072',
      '/sys/module/nf_conntrack/parameters/hashsize = 32768',
      '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established = 86400',
      '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait = 3600',
    ])
  })

  test('writes nothing that already is so', () => {
    const current = {
      '/proc/sys/net/netfilter/nf_conntrack_max': 131_072,
      '/sys/module/nf_conntrack/parameters/hashsize': 262_144,
      '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established': 86_400,
      '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait': 60,
    }
    expect(plan(DEFAULTS, 2, current)).toEqual(['/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait = 3600'])
  })

  test('makes a hash table larger, and never smaller', () => {
    const hash = '/sys/module/nf_conntrack/parameters/hashsize'
    const max = '/proc/sys/net/netfilter/nf_conntrack_max'
    const table = { ...NOTHING, maxPerCore: 100_000 }
    expect(plan(table, 2, { [max]: 200_000, [hash]: 49_999 })).toEqual([`${hash} = 50000`])
    expect(plan(table, 2, { [max]: 200_000, [hash]: 50_000 })).toEqual([])
  })

  test('cuts times to whole seconds', () => {
    expect(plan({ ...NOTHING, udpTimeout: 1_999, udpStreamTimeout: 120_000 })).toEqual([
      '/proc/sys/net/netfilter/nf_conntrack_udp_timeout = 1',
      '/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream = 120',
    ])
  })

  test('makes TCP tracking liberal, and never strict again', () => {
    const liberal = '/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal'
    expect(plan({ ...NOTHING, tcpBeLiberal: true }, 2, { [liberal]: 0 })).toEqual([`${liberal} = 1`])
    expect(plan(NOTHING, 2, { [liberal]: 1 })).toEqual([])
  })

  test('opens 127.0.0.1 for node ports when they are to answer there', () => {
    const steps = planSysctls({ conntrack: NOTHING, cpus: 1, localhostNodePorts: true }, new Map())
    expect(steps.map(({ path: file, value }) => [file, value])).toEqual([
      ['/proc/sys/net/ipv4/conf/all/route_localnet', 1],
    ])
  })

  test('asks only for files that it says it may ask for', () => {
    const everything = { ...DEFAULTS, tcpBeLiberal: true, udpTimeout: 1_000, udpStreamTimeout: 1_000 }
    const steps = planSysctls({ conntrack: everything, cpus: 1, localhostNodePorts: true }, new Map())
    expect(steps.map((step) => step.path).toSorted()).toEqual(SYSCTL_PATHS.toSorted())
  })
})

describe('the files', () => {
  let root = ''
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'sluice-sysctl-'))
  })
  afterEach(() => rmSync(root, { recursive: true }))

  function put(file: string, text: string): void {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true })
    writeFileSync(path.join(root, file), text)
  }

  test('are read as numbers; what is missing or no number is unknown', async () => {
    put('/proc/sys/a', '12\n')
    put('/proc/sys/b', '1\t2\t3\n')
    expect(await readSysctls(['/proc/sys/a', '/proc/sys/b', '/proc/sys/c'], root)).toEqual(
      new Map([['/proc/sys/a', 12]]),
    )
  })

  test('are written in order', async () => {
    put('/proc/sys/a', '12\n')
    await applySysctls([{ path: '/proc/sys/a', value: 7, why: 'a test' }], root)
    expect(readFileSync(path.join(root, 'proc/sys/a'), 'utf8')).toBe('7\n')
  })

  test('that are missing are an error that says what wanted them, and nothing is made', async () => {
    const step = { path: '/proc/sys/missing', value: 7, why: 'conntrack.udpTimeout' }
    const error = await applySysctls([step], root).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(SysctlError)
    expect(String(error)).toContain("/proc/sys/missing can't be set to 7 (conntrack.udpTimeout): ENOENT")
    expect(await readSysctls(['/proc/sys/missing'], root)).toEqual(new Map())
  })

  test('tell how many CPUs are switched on', async () => {
    for (const cpu of ['cpu0', 'cpu1', 'cpu10']) put(`/sys/devices/system/cpu/${cpu}/topology/core_id`, '0\n')
    put('/sys/devices/system/cpu/cpu1/online', '0\n')
    put('/sys/devices/system/cpu/cpu10/online', '1\n')
    put('/sys/devices/system/cpu/cpufreq/boost', '0\n')
    expect(await countCpus(root)).toBe(2)
    expect(await countCpus(path.join(root, 'nowhere'))).toBeGreaterThan(0)
  })

  test('take the OOM score, and it is no error when they do not', async () => {
    expect(await writeOomScore(-999, root)).toBe(false)
    put('/proc/self/oom_score_adj', '0\n')
    expect(await writeOomScore(-999, root)).toBe(true)
    expect(readFileSync(path.join(root, 'proc/self/oom_score_adj'), 'utf8')).toBe('-999\n')
  })
})
