// Reads of the kernel what is sluice's in IPVS mode: everything, or cheaply in search of what a flush takes away. With 10,000
// Services x 5 endpoints `ipvsadm -Sn` takes 1.5 s and `ipset save` 0.7 s in user-mode Linux, one virtual server or the
// sizes of all sets 0.03 s, of which starting the tool is nearly all.
import type { Hands } from '../../host/hands.ts'
import type { IpvsState } from '../../ipvs/program.ts'
import type { IpvsSettings } from '../../ipvs/settings.ts'
import { realServerKey, type VirtualServer, type VirtualServerKey } from '../../ipvs/virtual-server.ts'
import type { Family } from '../../model/address.ts'
import { type IptablesVariant, toolsOf } from '../variant.ts'
import { compareKernel, compareSizes, type IpvsFinding } from './finding.ts'
import { type KernelPicture, ownAddresses, ownServers, ownSets, temporarySet } from './picture.ts'
import type { IpvsTools } from './tools.ts'

export interface KernelReader {
  readonly read: (expected: Expected) => Promise<KernelPicture>
  /** The virtual servers of ours; sets and addresses are as the picture has them. */
  readonly readServers: (expected: Expected, picture: KernelPicture) => Promise<Map<VirtualServerKey, VirtualServer>>
  /** What a look at sizes, addresses and some virtual servers finds, each time at other ones. */
  readonly probe: (expected: Expected, left: KernelPicture) => Promise<readonly IpvsFinding[]>
  /** Whether iptables mode has rules for Services in the kernel. */
  readonly hasServiceChains: () => Promise<boolean>
}

/** What helps to tell what is ours, and whose it is. */
export interface Expected {
  readonly state: IpvsState
  readonly settings: IpvsSettings
  /** Virtual servers that were programmed before. */
  readonly former: { readonly has: (key: VirtualServerKey) => boolean } | undefined
}

export interface KernelReaderOptions {
  readonly hands: Pick<Hands, 'run' | 'listDeviceAddresses'>
  readonly tools: IpvsTools
  readonly variant: IptablesVariant
  readonly family: Family
  /** The interface that carries the addresses. */
  readonly device: string
}

/** Up to so many virtual servers, `ipvsadm -Sn` costs no more than starting the tool. */
const SMALL = 200
const READ_TIMEOUT_MS = 120_000

export function createKernelReader({ hands, tools, variant, family, device }: KernelReaderOptions): KernelReader {
  let turn = 0

  const readAddresses = async ({ settings }: Expected) => {
    const addresses = await hands.listDeviceAddresses(device)
    return addresses && ownAddresses(addresses, settings.family)
  }
  const readServers = async ({ state, settings, former }: Expected, { sets, addresses }: ServerSigns) => {
    const known = (key: VirtualServerKey) => state.virtualServers.has(key) || former?.has(key) === true
    return ownServers(await tools.readServers(), { settings, sets, addresses, known })
  }
  const probeServers = async (expected: Expected, left: KernelPicture): Promise<readonly IpvsFinding[]> => {
    if (left.servers.size <= SMALL) {
      return compareKernel(left, { servers: await readServers(expected, left) }, device, expected.state)
    }
    const [key, server] = [...left.servers][turn++ % left.servers.size] ?? []
    if (key === undefined || server === undefined) return []
    const found = (await tools.readServer(server)).get(key)
    const same =
      found?.size === server.realServers.length && server.realServers.every((real) => found.has(realServerKey(real)))
    if (same) return []
    const owner = expected.state.virtualServers.get(key)?.owner
    const kind = found === undefined ? 'missing virtual server' : 'changed virtual server'
    return [{ kind, name: key, ...(owner !== undefined && { owner }) }]
  }

  return {
    read: async (expected) => {
      const saved = await tools.readSets()
      const signs = { sets: ownSets(saved, family), addresses: await readAddresses(expected) }
      const servers = await readServers(expected, signs)
      return { ...signs, servers, leftover: saved.has(temporarySet(family)) }
    },
    readServers,
    probe: async (expected, left) => {
      const addresses = await readAddresses(expected)
      return [
        ...compareKernel(left, { addresses }, device, expected.state),
        ...compareSizes(left, await tools.readSetSizes()),
        ...(await probeServers(expected, left)),
      ]
    },
    hasServiceChains: async () => {
      const { save } = toolsOf(variant, family)
      const { stdout } = await hands.run({ argv: [save, '-t', 'nat'], timeoutMs: READ_TIMEOUT_MS })
      return /^:KUBE-SVC-/m.test(stdout)
    },
  }
}

type ServerSigns = Pick<KernelPicture, 'sets' | 'addresses'>
