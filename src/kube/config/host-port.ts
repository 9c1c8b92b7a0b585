// `host:port` texts, split by the rules of Go's net.SplitHostPort, which KubeProxyConfiguration follows.
import { parseIp } from '../../model/address.ts'

export interface HostPort {
  readonly host: string
  readonly port: string
}

/** Splits `1.2.3.4:80` and `[::1]:80`. Undefined when there is no port or an IPv6 address lacks its brackets. */
export function splitHostPort(text: string): HostPort | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text) ?? []
  const host = bracketed ?? plain
  return host === undefined || port === undefined ? undefined : { host, port }
}

/** Completes a bare IP address with the port. Any other text comes back as it is, for validation to judge. */
export function appendPortIfNeeded(address: string, port: number): string {
  const ip = parseIp(address)
  if (splitHostPort(address) !== undefined || ip === undefined) return address
  return ip.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
