// The rules of KubeProxyConfiguration for addresses and networks, which stand there as free text.
import { familyOfCidr, parseCidr, parseIp } from '../../model/address.ts'
import { splitHostPort } from './host-port.ts'
import { type ConfigProblem, need } from './proxy-config-problem.ts'

type Problems = readonly ConfigProblem[]

const DUAL_STACK_PAIR =
  'must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]'

/** One IP address; `0.0.0.0` and `::` mean none. */
export function checkBindAddress(bindAddress: string): Problems {
  return need(parseIp(bindAddress) !== undefined, {
    path: 'BindAddress',
    field: 'bindAddress',
    value: bindAddress,
    reason: 'not a valid textual representation of an IP address',
    advice: 'write an IP address, without a port',
  })
}

/** `ip:port`, with brackets around IPv6. */
export function checkHostPort(path: string, field: string, given: string, mayBeEmpty: boolean): Problems {
  if (given === '' && mayBeEmpty) return []
  const advice = 'write an IP address and a port, such as 127.0.0.1:10249 or [::1]:10249'
  const split = splitHostPort(given)
  if (split === undefined) return need(false, { path, field, value: given, reason: 'must be IP:port', advice })
  const { host, port } = split
  const portFits = /^[+-]?\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65535
  return [
    ...need(parseIp(host) !== undefined, { path, field, value: host, reason: 'must be a valid IP', advice }),
    ...need(portFits, {
      path,
      field,
      value: port,
      reason: 'must be a valid port',
      advice: 'use a port from 1 to 65535',
    }),
  ]
}

/** Networks, or `primary` alone. */
export function checkNodePortAddresses(nodePortAddresses: readonly string[]): Problems {
  const primary = nodePortAddresses.indexOf('primary')
  // As with kube-proxy, what follows a `primary` is not looked at.
  const networks = primary < 0 ? nodePortAddresses : nodePortAddresses.slice(0, primary)
  return [
    ...networks.flatMap((value, index) =>
      need(parseCidr(value) !== undefined, {
        ...itemPlace(index),
        value,
        reason: 'must be a valid CIDR',
        advice: 'write a network, such as 192.168.0.0/16 or fd00::/64, or primary alone',
      }),
    ),
    ...need(primary < 0 || nodePortAddresses.length === 1, {
      ...itemPlace(primary),
      value: 'primary',
      reason: "can't use both 'primary' and CIDRs",
      advice: 'make it the only item, or remove it',
    }),
  ]
}

/** No network, one, or one of each family. */
export function checkClusterCidrs(given: readonly string[], path: string): Problems {
  const field = 'clusterCIDR'
  const pair = {
    path,
    field,
    value: given,
    reason: DUAL_STACK_PAIR,
    advice: 'write one network, or one of each family',
  }
  if (given.length > 2) return need(false, pair)
  const parsed = given.map((text) => parseCidr(text))
  const bad = given.flatMap((value, index) =>
    need(parsed[index] !== undefined, {
      path: `${path}[${index}]`,
      field,
      value,
      reason: 'must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)',
      advice: 'write a network such as 10.244.0.0/16, or two separated by a comma without blanks',
    }),
  )
  const [first, second] = parsed
  if (first === undefined || second === undefined) return bad
  return need(familyOfCidr(first) !== familyOfCidr(second), pair)
}

function itemPlace(index: number): Pick<ConfigProblem, 'path' | 'field'> {
  return { path: `NodePortAddresses[${index}]`, field: `nodePortAddresses[${index}]` }
}
