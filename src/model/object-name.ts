// How namespaced Kubernetes objects and the ports of a Service are named, in maps, messages and rules.

/** `namespace/name`. Names hold only letters, digits, `-` and `.`, so the text is unambiguous. */
export type ObjectKey = string

export function objectKey(namespace: string, name: string): ObjectKey {
  return `${namespace}/${name}`
}

export type Protocol = 'tcp' | 'udp' | 'sctp'
export const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp']

/**
 * The printable name of a Service's port, as it stands in comments and in the hash of chain names: `ns1/svc1:p80`, or
 * `ns1/svc1` when the port has no name. The protocol is not part of it.
 */
export function servicePortName(service: ObjectKey, portName: string): string {
  return portName === '' ? service : `${service}:${portName}`
}
