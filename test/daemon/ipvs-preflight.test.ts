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
  /** What iptables-restore says of rules that it only reads. */
  readonly iptables?: string
  /** Of sets that are there: what `ipset list -t` says. */
  readonly sets?: string
  /** Types of sets that the kernel lacks. */
  readonly lacksTypes?: readonly string[]
}

const SET_IS_MISSING = "iptables-restore v1.8.9 (legacy): Set KUBE-SLUICE-TRIAL doesn't exist.\n"

function machine({
  missing,
  ipsetVersion = 'ipset v7.17, protocol version: 7',
  refuses = {},
  device,
  iptables = SET_IS_MISSING,
  sets = '',
  lacksTypes = [],
}: Machine = {}) {
  const fake = createFakeIpvsHost()
  const tried: string[] = []
  const run = async ({ argv, stdin = '' }: Pick<HandsCommand, 'argv' | 'stdin'>) => {
    const [program, ...args] = argv
    if (program === missing) throw new CommandError(argv, { kind: 'missing' }, '')
    const said = refuses[argv.join(' ')]
    if (said !== undefined) throw new CommandError(argv, { kind: 'exit', exitCode: 255 }, said)
    const answer = (stdout: string) => ({ stdout, stderr: '', exitCode: 0 })
    if (program === 'iptables-legacy-restore' && args.includes('--test')) {
      throw new CommandError(argv, { kind: 'exit', exitCode: 2 }, iptables)
    }
    if (program === 'ipset' && args[0] === 'restore') {
      const lines = String(stdin).trim().split('\n')
      tried.push(...lines)
      const bad = lines.findIndex((line) => lacksTypes.includes(line.split(' ')[2] ?? ''))
      const message = `ipset v7.17: Error in line ${bad + 1}: Kernel error received: set type not supported\n`
      if (bad >= 0) throw new CommandError(argv, { kind: 'exit', exitCode: 1 }, message)
      return answer('')
    }
    if (program === 'ipset') return answer(args[0] === '--version' ? ipsetVersion : sets)
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
  const check = (scheduler = 'rr', isDryRun = false) => checkIpvs(hands, { scheduler, variant: 'legacy', isDryRun })
  return { fake, tried, check }
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
    { refuses: { 'ipset list -t': 'Kernel error received: Invalid argument' } },
    /^this kernel has no ipset: load its module \(modprobe ip_set\).*\(ipset list -t: Kernel error received: Invalid arg/,
  ],
  [
    'the right to read',
    {
      refuses: {
        'ipvsadm -Sn':
          "Can't initialize ipvs: Permission denied (you must be root)\nAre you sure that IP Virtual Server is built",
      },
    },
    /^IPVS mode needs root or the capability NET_ADMIN, also to read .*\(ipvsadm -Sn: Can't initialize ipvs: Permission/,
  ],
  [
    'xt_ipvs',
    { iptables: `Warning: Extension ipvs revision 0 not supported, missing kernel module?\n${SET_IS_MISSING}` },
    /^this kernel has no match ipvs of iptables: load its module \(modprobe xt_ipvs\), .* CONFIG_NETFILTER_XT_MATCH_IPVS$/,
  ],
  [
    'xt_set',
    { iptables: 'iptables-restore v1.8.9 (legacy): Kernel module xt_set is not loaded in.\n' },
    /^this kernel has no match set of iptables: load its module \(modprobe xt_set\), .* CONFIG_NETFILTER_XT_SET$/,
  ],
  [
    'the match of the tool',
    { iptables: "iptables-restore v1.8.9 (legacy): Couldn't load match `ipvs':No such file or directory\n" },
    /^iptables-legacy-restore does not know the match ipvs, which IPVS mode needs: install all of iptables/,
  ],
  [
    'a type of sets',
    { lacksTypes: ['hash:ip,port,ip'] },
    /^this kernel has no sets of type hash:ip,port,ip: load .* \(modprobe ip_set_hash_ipportip\), .* CONFIG_IP_SET_HASH_IPPORTIP$/,
  ],
  [
    'another type of sets, where one is in use and one was left',
    { lacksTypes: ['bitmap:port'], sets: 'Name: A\nType: hash:ip\n\nName: KUBE-SLUICE-NEW\nType: hash:net\n' },
    /^this kernel has no sets of type bitmap:port: load its module \(modprobe ip_set_bitmap_port\)/,
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

test('types of sets are tried under the name that is ours to destroy, unless one is in use', async () => {
  const types = ['hash:ip,port,ip', 'hash:ip,port', 'hash:ip,port,net', 'bitmap:port', 'hash:ip']
  const { tried, check } = machine()
  await check()
  expect(tried.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual(
    types.flatMap((type) => [`create KUBE-SLUICE-NEW ${type}`, 'destroy KUBE-SLUICE-NEW']),
  )
  const inUse = machine({ sets: types.map((type, index) => `Name: S${index}\nType: ${type}\n`).join('') })
  await inUse.check()
  expect(inUse.tried).toEqual([])
})

test('a dry run asks only what can be read', async () => {
  const { fake, tried, check } = machine()
  await check('twos', true)
  expect(tried).toEqual([])
  expect(fake.addresses).toBeUndefined()
  await expect(machine({ missing: 'ipset' }).check('rr', true)).rejects.toThrow('IPVS mode needs ipset')
})
