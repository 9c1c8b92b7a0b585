// Schedulers that choose by a hash, while a real server finishes its connections: spec in src/ipvs/diff.ts.
import { describe, expect, test } from 'vitest'
import { diffVirtualServer } from '../../src/ipvs/diff.ts'
import type { VirtualServer } from '../../src/ipvs/virtual-server.ts'
import type { Ip } from '../../src/model/address.ts'

const NAME = '-t 10.0.0.1:80'
const [ONE, TWO] = ['10.1.0.1', '10.1.0.2'].map((address) => ({ address: address as Ip, port: 80, weight: 1 }))

function serverOf(scheduler: string, change: Partial<VirtualServer> = {}): VirtualServer {
  return {
    protocol: 'tcp',
    address: '10.0.0.1' as Ip,
    port: 80,
    scheduler,
    schedulerFlags: scheduler === 'mh' ? ['mh-port'] : [],
    realServers: [ONE, TWO].flatMap((real) => real ?? []),
    ...change,
  }
}

const left = (scheduler: string) => serverOf(scheduler, { realServers: [ONE].flatMap((real) => real ?? []) })

describe.each([
  ['sh', '-s sh -b sh-fallback', '-s sh'],
  ['mh', '-s mh -b mh-fallback,mh-port', '-s mh -b mh-port'],
])('%s', (scheduler, withFlag, without) => {
  const { lines, after, terminating } = diffVirtualServer(left(scheduler), serverOf(scheduler))

  test('passes over real servers of weight 0 before there is one', () => {
    expect(lines).toEqual([`-E ${NAME} ${withFlag}`, `-e ${NAME} -r 10.1.0.2:80 -m -w 0`])
    expect(terminating).toHaveLength(1)
  })

  test('keeps the flag for as long as one is there', () => {
    expect(diffVirtualServer(left(scheduler), after).lines).toEqual([])
  })

  test('has it no more when the last one is gone, or wanted again', () => {
    expect(diffVirtualServer(left(scheduler), after, new Set(['10.1.0.2:80'])).lines).toEqual([
      `-d ${NAME} -r 10.1.0.2:80`,
      `-E ${NAME} ${without}`,
    ])
    const wanted = serverOf(scheduler)
    const back = diffVirtualServer(wanted, after)
    expect(back.lines).toEqual([`-e ${NAME} -r 10.1.0.2:80 -m -w 1`, `-E ${NAME} ${without}`])
    expect(back.after).toBe(wanted)
  })
})

test('dh has its real servers deleted at once, also those that another scheduler left', () => {
  const gone = `-d ${NAME} -r 10.1.0.2:80`
  expect(diffVirtualServer(left('dh'), serverOf('dh'))).toMatchObject({ lines: [gone], terminating: [] })
  const quiet = diffVirtualServer(left('rr'), serverOf('rr')).after
  expect(diffVirtualServer(left('dh'), quiet).lines).toEqual([gone, `-E ${NAME} -s dh`])
})

test.each(['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'sed', 'nq', 'fo', 'ovf'])('%s needs no flag', (scheduler) => {
  expect(diffVirtualServer(left(scheduler), serverOf(scheduler)).lines).toEqual([`-e ${NAME} -r 10.1.0.2:80 -m -w 0`])
})
