// Hands without a helper process, with the addresses of one interface by `ip`; it remembers what was started.
import { hostCidr, type Ip, parseIp } from '../../src/model/address.ts'
import { createNodeHands } from '../support/node-hands.ts'

export const DEVICE = 'kube-ipvs0'
export const { run } = createNodeHands([])
/** Program and first argument of each command. */
export const processes: string[] = []

export const hands = {
  ensureCounters: async () => [],
  run: (command: Parameters<typeof run>[0]) => {
    processes.push(command.argv.slice(0, 2).join(' '))
    return run(command)
  },
  listDeviceAddresses: async (): Promise<readonly Ip[] | undefined> => {
    const { stdout, exitCode } = await run({
      argv: ['ip', '-j', 'addr', 'show', 'dev', DEVICE],
      timeoutMs: 60_000,
      accept: [0, 1],
    })
    if (exitCode !== 0) return undefined
    const [link] = JSON.parse(stdout) as readonly { readonly addr_info: readonly { readonly local: string }[] }[]
    return link?.addr_info.flatMap(({ local }) => parseIp(local) ?? [])
  },
  changeDeviceAddresses: async (
    _device: string,
    { add, remove }: { readonly add: readonly Ip[]; readonly remove: readonly Ip[] },
  ) => {
    processes.push('addresses')
    await run({ argv: ['ip', 'link', 'add', DEVICE, 'type', 'dummy'], timeoutMs: 60_000, accept: [0, 2] })
    const lines = [
      ...add.map((ip) => `address replace ${hostCidr(ip)} dev ${DEVICE}`),
      ...remove.map((ip) => `address del ${hostCidr(ip)} dev ${DEVICE}`),
    ]
    await run({ argv: ['ip', '-batch', '-'], stdin: `${lines.join('\n')}\n`, timeoutMs: 60_000 })
  },
}
