// What device.test.ts runs in the second kernel: the addresses of an interface, changed by the helper process and looked
// at with `ip`.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import { NetlinkError } from '../../src/host/hands.ts'
import { startHands } from '../../src/host/hands-client.ts'
import { loadNetlink, readAddresses } from '../../src/host/netlink.ts'
import type { Ip } from '../../src/model/address.ts'
import { IPVS_DEVICE } from '../../src/model/host.ts'
import { DEVICE_CHECKS as NAMES } from './device-checks.ts'
import { hold } from './held.ts'

const V4 = ['10.96.0.1', '10.96.0.10'] as Ip[]
const V6 = ['fd00:96::1', 'fd00:96::a'] as Ip[]
const MANY = 10_000

const hands = await startHands()
await hold(NAMES.noDevice, undefined, noDevice)
await hold(NAMES.makes, undefined, makes)
await hold(NAMES.usable, undefined, usable)
await hold(NAMES.repeated, undefined, repeated)
await hold(NAMES.strangers, undefined, strangers)
await hold(NAMES.leftOut, undefined, leftOut)
await hold(NAMES.many, undefined, many)
await hold(NAMES.deletes, undefined, deletes)
await hold(NAMES.noModule, undefined, noModule)
await hands.close()

async function noDevice(): Promise<void> {
  expect(await hands.listDeviceAddresses(IPVS_DEVICE)).toBeUndefined()
  expect(await hands.deleteDevice(IPVS_DEVICE)).toBe(false)
}

async function makes(): Promise<void> {
  await hands.changeDeviceAddresses(IPVS_DEVICE, { add: [...V4, ...V6], remove: [] })
  expect(ip('-details', 'link', 'show', 'dev', IPVS_DEVICE)).toContain('dummy')
  expect(shown()).toEqual(['10.96.0.1/32', '10.96.0.10/32', 'fd00:96::1/128', 'fd00:96::a/128'])
  expect([...((await hands.listDeviceAddresses(IPVS_DEVICE)) ?? [])].toSorted()).toEqual([...V4, ...V6])
}

/** Nothing waits for duplicate address detection. */
async function usable(): Promise<void> {
  const text = ip('-6', 'address', 'show', 'dev', IPVS_DEVICE)
  expect(text).toContain('nodad')
  expect(text).not.toContain('tentative')
}

async function repeated(): Promise<void> {
  for (let count = 0; count < 3; count += 1) {
    await hands.changeDeviceAddresses(IPVS_DEVICE, {
      add: [...V4, ...V6],
      remove: ['10.96.0.99', 'fd00:96::99'] as Ip[],
    })
    expect(shown()).toHaveLength(4)
  }
  for (let count = 0; count < 3; count += 1) {
    await hands.changeDeviceAddresses(IPVS_DEVICE, { add: [], remove: [...V4, ...V6] })
    expect(shown()).toEqual([])
  }
}

/** A prefix of its own, which sluice never gives, and another interface. */
async function strangers(): Promise<void> {
  ip('link', 'add', 'other', 'type', 'dummy')
  ip('address', 'add', '10.96.0.1/32', 'dev', 'other')
  await hands.changeDeviceAddresses(IPVS_DEVICE, { add: V4, remove: [] })
  await hands.changeDeviceAddresses(IPVS_DEVICE, { add: [], remove: V4 })
  expect(ip('-brief', 'address', 'show', 'dev', 'other')).toContain('10.96.0.1/32')
  expect(await hands.listDeviceAddresses(IPVS_DEVICE)).toEqual([])
  ip('link', 'delete', 'other')
}

async function leftOut(): Promise<void> {
  ip('address', 'add', '10.96.0.7/32', 'dev', IPVS_DEVICE)
  ip('link', 'add', 'eth9', 'type', 'dummy')
  ip('address', 'add', '172.18.0.9/24', 'dev', 'eth9')
  const addresses = await readAddresses(await loadNetlink())
  expect(addresses).toContain('172.18.0.9')
  expect(addresses).toContain('127.0.0.1')
  expect(addresses).not.toContain('10.96.0.7')
  ip('address', 'delete', '10.96.0.7/32', 'dev', IPVS_DEVICE)
}

async function many(): Promise<void> {
  const half = MANY / 2
  const add = Array.from({ length: half }, (_, index) => [
    `10.97.${index >> 8}.${index & 255}`,
    `fd00:97::${(index + 1).toString(16)}`,
  ]).flat() as Ip[]
  await hands.changeDeviceAddresses(IPVS_DEVICE, { add, remove: [] })
  expect(new Set(await hands.listDeviceAddresses(IPVS_DEVICE))).toEqual(new Set(add))
  const remove = add.filter((_, index) => index % 4 < 2)
  await hands.changeDeviceAddresses(IPVS_DEVICE, { add: V4, remove })
  expect(shown()).toHaveLength(half + V4.length)
}

async function deletes(): Promise<void> {
  expect(await hands.deleteDevice(IPVS_DEVICE)).toBe(true)
  expect(await hands.listDeviceAddresses(IPVS_DEVICE)).toBeUndefined()
  expect(await hands.deleteDevice(IPVS_DEVICE)).toBe(false)
}

/** A kernel whose module can't be had: nothing loads it any more. */
async function noModule(): Promise<void> {
  execFileSync('ip', ['link', 'delete', 'eth9'])
  execFileSync('/run/load-module', ['-r', 'dummy'])
  writeFileSync('/proc/sys/kernel/modprobe', '/bin/false\n')
  const change = hands.changeDeviceAddresses(IPVS_DEVICE, { add: V4, remove: [] })
  const error = await change.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NetlinkError)
  expect(error).toMatchObject({ code: 'ENOTSUP' })
  expect(await hands.listDeviceAddresses(IPVS_DEVICE)).toBeUndefined()
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', maxBuffer: 1e8 })
}

/** The addresses of the device with their prefixes, as `ip` shows them, without the kernel's own. */
function shown(): readonly string[] {
  const text = ip('-oneline', 'address', 'show', 'dev', IPVS_DEVICE)
  const all = [...text.matchAll(/ inet6? (\S+)/g)].map(([, address = '']) => address)
  return all.filter((address) => !address.startsWith('fe80:')).toSorted()
}
