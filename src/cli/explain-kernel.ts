// What `sluice explain` reads of this machine, or of a dump, beside the objects.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { IpvsKernel, KernelState, NetworkLink } from '../explain/kernel-state.ts'
import { parseIpvsadmSave } from '../ipvs/parse.ts'
import { type RuleSource, type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import type { Streams } from './streams.ts'
import type { Terminal } from './terminal.ts'

/** Undefined when neither --live nor --dump was given. @throws Failure for what can't be read. */
export async function readKernelState(
  options: RuleSourceOptions,
  streams: Streams,
  terminal: Terminal,
): Promise<KernelState | undefined> {
  const { dump, live, family } = options
  if (dump === undefined && live === undefined) return undefined
  const only: RuleSourceOptions = {
    filename: [],
    proxyFlags: new Map(),
    ...(dump && { dump }),
    ...(live && { live }),
    ...(family && { family }),
  }
  const source = await readRuleSource(only, streams, terminal)
  terminal.report(source.issues.filter(({ severity }) => severity === 'error'))
  const conntrack = live === true ? readConntrack() : undefined
  return {
    mode: source.mode,
    label: live === true ? 'this machine' : source.label,
    rules: source.families,
    ...(source.texts && { texts: source.texts }),
    ...(source.mode === 'ipvs' && { ipvs: readIpvs(source) }),
    ...(conntrack && { conntrack }),
    links: live === true ? readLinks() : [],
  }
}

function readIpvs({ ipvs, sets, addresses }: RuleSource): IpvsKernel {
  const { services } = parseIpvsadmSave(ipvs ?? '')
  return {
    servers: new Map(services.flatMap((service) => (service.key === undefined ? [] : [[service.key, service]]))),
    ...(sets && { sets }),
    ...(addresses && { addresses }),
  }
}

function readConntrack(): KernelState['conntrack'] {
  const count = readNumber('/proc/sys/net/netfilter/nf_conntrack_count')
  const max = readNumber('/proc/sys/net/netfilter/nf_conntrack_max')
  return count === undefined || max === undefined ? undefined : { count, max }
}

/** Of the network namespace that sluice runs in. What can't be read is left out: these are hints. */
export function readLinks(folder = '/sys/class/net', routes = '/proc/net/route'): readonly NetworkLink[] {
  const uplink = defaultInterface(read(routes))
  return listNames(folder).flatMap((name): readonly NetworkLink[] => {
    const at = path.join(folder, name)
    const mtu = readNumber(path.join(at, 'mtu'))
    if (mtu === undefined) return []
    const kind =
      /^DEVTYPE=(\w+)$/m.exec(read(path.join(at, 'uevent')))?.[1] ?? TYPES[read(path.join(at, 'type')).trim()] ?? ''
    const paired = read(path.join(at, 'iflink')) !== read(path.join(at, 'ifindex'))
    // A VLAN has a lower interface here; the other end of a pair is elsewhere.
    const hasLower = listNames(at).some((entry) => entry.startsWith('lower_'))
    const isUplink = name === uplink
    return [{ name, mtu, kind, toPod: kind === '' && paired && !hasLower && !isUplink, uplink: isUplink }]
  })
}

/** ARPHRD_* of if_arp.h, for tunnels that have no DEVTYPE. */
const TYPES: Readonly<Record<string, string>> = { '768': 'ipip', '778': 'gre' }

/** In /proc/net/route the default route has destination and mask 0. */
function defaultInterface(table: string): string | undefined {
  const lines = table.split('\n').map((line) => line.split('\t'))
  return lines.find(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000')?.[0]
}

function readNumber(file: string): number | undefined {
  const text = read(file).trim()
  return /^\d+$/.test(text) ? Number(text) : undefined
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted()
  } catch {
    return []
  }
}
