// What is known of the machine that a node is: from a file, from this machine, or assumed.
import { decodeHost, type NamedHost } from '../host/host-file.ts'
import type { HostFeatures } from '../model/host.ts'
import { formatIssue, type Issue } from '../model/issue.ts'
import { assumeHost } from '../resolve/node-facts.ts'
import { Failure } from './failure.ts'
import { readText } from './read-text.ts'

export interface ReadHost {
  /** Absent when it is to be assumed from the Node. */
  readonly host?: NamedHost
  readonly issues: readonly Issue[]
  /** Where it is from, in words. */
  readonly notes: readonly string[]
}

/** `source` is a path, or `live` for this machine. @throws Failure for a file that can't be used. */
export async function readHost(source: string | undefined): Promise<ReadHost> {
  if (source === undefined) {
    const features = describeFeatures(assumeHost(undefined).features)
    const note = `assumed: loopback and the addresses in the Node's status, ${features} (--host FILE or --host live for others)`
    return { issues: [], notes: [note] }
  }
  const { host, issues } = source === 'live' ? await readLive() : decodeHost(readText(source, '--host'), source)
  if (host === undefined) throw new Failure(issues.map(formatIssue).join('\n'), issues)
  const where = source === 'live' ? 'this machine' : source
  const addresses = `${host.addresses.length} ${host.addresses.length === 1 ? 'address' : 'addresses'}`
  return { host, issues, notes: [`host: ${where}, ${addresses}, ${describeFeatures(host.features)}`] }
}

async function readLive(): Promise<{ readonly host: NamedHost; readonly issues: readonly Issue[] }> {
  const { readLiveHost } = await import('../host/live-host.ts')
  return readLiveHost()
}

const FEATURES: readonly (keyof HostFeatures)[] = ['nfacct', 'randomFully', 'tcpBeLiberal']

function describeFeatures(features: HostFeatures): string {
  return `features ${FEATURES.map((name) => `${name}=${features[name]}`).join(', ')}`
}

/** `nfacct=false,randomFully=true`. @throws Failure for anything else. */
export function parseFeatures(list: string): Partial<HostFeatures> {
  const features: Partial<Record<keyof HostFeatures, boolean>> = {}
  for (const item of list.split(',').filter((text) => text !== '')) {
    const [name, value] = item.split('=')
    const feature = FEATURES.find((candidate) => candidate === name)
    if (feature === undefined || (value !== 'true' && value !== 'false')) {
      throw new Failure(`--features ${item}: write NAME=true or NAME=false with a name of ${FEATURES.join(', ')}`)
    }
    features[feature] = value === 'true'
  }
  return features
}
