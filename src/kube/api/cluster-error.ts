// What can go wrong between us and an API server, each as one sentence that names the server and what to do. In its own
// file, so that the command line can recognise a ClusterError without loading the Kubernetes client.

export type ClusterErrorKind =
  | 'no-configuration'
  | 'kubeconfig'
  | 'unknown-context'
  | 'credentials'
  | 'unreachable'
  | 'tls'
  | 'unauthorized'
  | 'forbidden'
  | 'overloaded'
  | 'changing'
  | 'server'

/** The live cluster was not read. The message is one sentence, or two, for people. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError'
  readonly kind: ClusterErrorKind

  constructor(kind: ClusterErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

/** What a server answered, whatever the status. */
export interface Answer {
  readonly status: number
  /** Seconds that the server asks us to wait. */
  readonly retryAfter?: number
  readonly body: string
}

/** The answer never came, or was cut: says why in the words of `error`, an exception of node:http, node:https or node:tls. */
export function describeTransportFailure(server: string, error: unknown): ClusterError {
  const code = errorCode(error)
  const options = { cause: error }
  const tls = describeTlsFailure(code, error)
  if (tls !== undefined) {
    return new ClusterError('tls', `no secure connection to ${server}: ${tls}`, options)
  }
  const unreachable = UNREACHABLE[code]
  if (unreachable !== undefined) {
    return new ClusterError('unreachable', `${server} can't be reached: ${unreachable} (${code})`, options)
  }
  const reason = oneLine(error instanceof Error ? error.message || code : String(error))
  return new ClusterError(
    'unreachable',
    `reading ${server} failed: ${reason}; check the server and the network, then try again`,
    options,
  )
}

/** `doing` says what was asked for, for example `list services`. */
export function describeStatus(server: string, doing: string, answer: Answer): ClusterError {
  const said = statusMessage(answer)
  const quoted = said === undefined ? '' : ` (it says: ${said})`
  switch (answer.status) {
    case 401:
      return new ClusterError(
        'unauthorized',
        `${server} does not accept the credentials (401): renew the token or client certificate of the kubeconfig's user, or choose another --context`,
      )
    case 403:
      return new ClusterError(
        'forbidden',
        `${server} does not allow this user to ${doing}: grant the verb in a ClusterRole (system:node-proxier has all that is needed), or choose another --context${quoted}`,
      )
    case 404:
      return new ClusterError(
        'server',
        `${server} does not know how to ${doing} (404): check that it is the URL of a Kubernetes API server, version 1.21 or newer${quoted}`,
      )
    case 429:
      return new ClusterError(
        'overloaded',
        `${server} is overloaded and refused to ${doing} (429): try again ${answer.retryAfter === undefined ? 'later' : `in ${answer.retryAfter} seconds`}${quoted}`,
      )
    default:
      return new ClusterError(
        'server',
        `${server} answered ${answer.status} when asked to ${doing}: ${answer.status >= 500 ? 'look at its log, or try again later' : 'check that it is the URL of a Kubernetes API server'}${quoted}`,
      )
  }
}

/** The `message` of a Status body, else the start of a body in plain text; undefined when there is nothing to quote. */
export function statusMessage(answer: Answer): string | undefined {
  let text = answer.body.startsWith('<') ? '' : answer.body
  try {
    const status: unknown = JSON.parse(answer.body)
    if (typeof status === 'object' && status !== null && 'message' in status && typeof status.message === 'string') {
      text = status.message
    }
  } catch {
    // A proxy or load balancer in front of the API server answers in plain text.
  }
  return oneLine(text) || undefined
}

/** Whether the server has not reached the version that it was asked for, as after a restore of its storage. */
export function isTooLarge({ status, body }: Answer): boolean {
  return status >= 500 && /too large resource version|future revision/i.test(body)
}

/** Text of a stranger, fit for a terminal: one line, no control characters, not endless. */
export function oneLine(text: string): string {
  const plain = text.replaceAll(/[\p{C}\s]+/gu, ' ').trim()
  return plain.length > 300 ? `${plain.slice(0, 300)}...` : plain
}

/** The `code` of a Node error, of the first error in an AggregateError, or empty. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof AggregateError ? errorCode(error.errors[0]) : ''
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; check the address and port, and that the API server runs',
  EHOSTUNREACH: 'there is no way to that host; check the network, VPN or proxy',
  ENETUNREACH: 'there is no way to that network; check the network, VPN or proxy',
  ENOTFOUND: 'its host name is unknown; check the name in the kubeconfig or --master, and DNS',
  EAI_AGAIN: 'its host name could not be looked up; check DNS and the network',
  ETIMEDOUT: 'it does not answer in time; check the address, firewalls, and that the API server is healthy',
}

const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
])

function describeTlsFailure(code: string, error: unknown): string | undefined {
  if (UNKNOWN_AUTHORITY.has(code)) {
    return `its certificate is signed by an authority that is not trusted (${code}); set certificate-authority in the kubeconfig to the cluster's CA`
  }
  if (code === 'CERT_HAS_EXPIRED') return "its certificate has expired; renew it, or check this machine's clock"
  if (code === 'CERT_NOT_YET_VALID') return "its certificate is not valid yet; check this machine's clock"
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const reason = error instanceof Error ? oneLine(error.message) : ''
    return `its certificate is for another host name; use a name that it lists, or set tls-server-name in the kubeconfig (${reason})`
  }
  if (/ALERT_(?:BAD_|UNKNOWN_|)?(?:CERTIFICATE|CA)/.test(code)) {
    return `it refuses the client certificate (${code}); renew client-certificate and client-key of the kubeconfig's user`
  }
  if (/^ERR_OSSL_|KEY_VALUES_MISMATCH|^ERR_CRYPTO/.test(code)) {
    return `the certificate or key in the kubeconfig can't be read (${code}); check certificate-authority, client-certificate and client-key`
  }
  if (/^ERR_SSL_|^EPROTO$|^ERR_TLS_/.test(code)) {
    return `it does not speak TLS as expected (${code}); check the port, and https:// against http:// in the URL`
  }
  return undefined
}
