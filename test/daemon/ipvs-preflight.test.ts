// What IPVS mode asks of the machine before it writes anything.
import { expect, test } from 'vitest'
import { checkIpvs } from '../../src/daemon/ipvs-preflight.ts'
import { CommandError } from '../../src/host/exec.ts'
import { type HandsCommand, NetlinkError } from '../../src/host/hands.ts'
import { createFakeIpvsHost } from '../support/fake-ipvs.ts'

interface Machine {
  /** Not installed. */
  readonly missing?: string
  readonly ipsetVersion?: string
  /** What a command line says when the kernel does not take it. */
  readonly refuses?: Readonly<Record<string, string>>
  readonly device?: Error
}

function machine({ missing, ipsetVersion = 'ipset v7.17, protocol version: 7', refuses = {}, device }: Machine = {}) {
  const fake = createFakeIpvsHost()
  const run = async ({ argv }: Pick<HandsCommand, 'argv'>) => {
    const [program, ...args] = argv
    if (program === missing) throw new CommandError(argv, { kind: 'missing' }, '')
    const said = refuses[argv.join(' ')]
    if (said !== undefined) throw new CommandError(argv, { kind: 'exit', exitCode: 255 }, said)
    const answer = (stdout: string) => ({ stdout, stderr: '', exitCode: 0 })
    if (program === 'ipset') return answer(args[0] === '--version' ? ipsetVersion : '')
    if (args[0] === '-Sn') return fake.run(program, '-Sn')
    const result = fake.run(program, '-R', args.join(' '))
    if (result.exitCode !== 0) throw new CommandError(argv, { kind: 'exit', exitCode: 255 }, result.stderr)
    return result
  }
  const changeDeviceAddresses = async () => {
    if (device !== undefined) throw device
    fake.addresses = new Set()
  }
  const hands = { ...fake.hands, run, changeDeviceAddresses, deleteDevice: async () => true }
  return { fake, check: (scheduler = 'rr', isDryRun = false) => checkIpvs(hands, scheduler, isDryRun) }
}

const NO_IPVS =
  "Can't initialize ipvs: Protocol not available\nAre you sure that IP Virtual Server is built in the kernel?"

test.each<[string, Machine, RegExp]>([
  ['ipvsadm', { missing: 'ipvsadm' }, /^IPVS mode needs ipvsadm: install it \(Debian: apt-get install ipvsadm\)$/],
  ['ipset', { missing: 'ipset' }, /^IPVS mode needs ipset: install it \(Debian: apt-get install ipset\)$/],
  ['a recent ipset', { ipsetVersion: 'ipset v5.9' }, /^IPVS mode needs ipset 6\.0 or later, and this is ipset v5\.9$/],
  ['an ipset that says which', { ipsetVersion: '' }, /^IPVS mode needs ipset 6\.0 or later, and this is of no known/],
  [
    'IPVS in the kernel',
    { refuses: { 'ipvsadm -Sn': NO_IPVS } },
    /^this kernel has no IPVS: load its module \(modprobe ip_vs\), or use a kernel that was built with CONFIG_IP_VS /,
  ],
  [
    'sets in the kernel',
    { refuses: { 'ipset list -n': 'Kernel error received: Invalid argument' } },
    /^this kernel has no ipset: load its module \(modprobe ip_set\).*\(ipset list -n: Kernel error received: Invalid arg/,
  ],
  [
    'dummy interfaces',
    { device: new NetlinkError('EOPNOTSUPP', 'not supported') },
    /^the interface kube-ipvs0 can't be made: .*: load the module of dummy interfaces \(modprobe dummy\), or/,
  ],
  [
    'the right to make one',
    { device: new NetlinkError('EPERM', 'not permitted') },
    /can't be made: .*: give sluice the capability NET_ADMIN$/,
  ],
])('without %s it says so, how to get it, and leaves nothing', async (_, lacking, message) => {
  const { fake, check } = machine(lacking)
  await expect(check()).rejects.toMatchObject({
    name: 'DaemonFailure',
    message: expect.stringMatching(message) as string,
  })
  expect([...fake.servers, ...fake.sets, ...fake.written]).toEqual([])
  expect(fake.addresses).toBeUndefined()
})

test('a scheduler that the kernel lacks is named, and leaves no interface', async () => {
  const { fake, check } = machine()
  await expect(check('twos')).rejects.toThrow(
    'this kernel does not have the IPVS scheduler twos: load its module (modprobe ip_vs_twos), or choose another ipvs.scheduler',
  )
  expect(fake.servers.size).toBe(0)
  expect(fake.addresses).toBeUndefined()
})

test('the virtual server that tries the scheduler is gone afterwards', async () => {
  const { fake, check } = machine()
  await check('')
  expect(fake.servers.size).toBe(0)
  expect(fake.addresses).toEqual(new Set())
})

test('one that was left by a check that was killed is removed, and proves nothing', async () => {
  const { fake, check } = machine()
  fake.run('ipvsadm', '-R', '-A -t 198.51.100.0:20000 -s rr')
  await check('rr')
  expect(fake.servers.size).toBe(0)
})

test('a scheduler that is in use is not tried', async () => {
  const { fake, check } = machine({ refuses: { 'ipvsadm -A -t 198.51.100.0:20000 -s wrr': 'must not be tried' } })
  fake.run('ipvsadm', '-R', '-A -t 10.0.0.1:80 -s wrr')
  await check('wrr')
  await expect(check('rr')).resolves.toBeUndefined()
  expect([...fake.servers.keys()]).toEqual(['-t 10.0.0.1:80'])
})

test('a dry run asks only what can be read', async () => {
  const { fake, check } = machine()
  await check('twos', true)
  expect(fake.addresses).toBeUndefined()
  await expect(machine({ missing: 'ipset' }).check('rr', true)).rejects.toThrow('IPVS mode needs ipset')
})
