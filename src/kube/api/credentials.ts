// The daemon's credentials: token, client certificate and CA, read again when their files change, because all three are
// rotated under a running node agent. The Kubernetes client is not used here: it ignores tokenFile and costs 80 MB.
import { readFileSync, statSync } from 'node:fs'
import { type AccessOptions, findAccess } from './access.ts'
import type { Clock } from './clock.ts'
import { ClusterError, oneLine } from './cluster-error.ts'
import type { Access } from './kubeconfig.ts'

export interface CredentialSource {
  /** Without a slash at its end. */
  readonly server: string
  /**
   * What a request carries now. Looks at the files; while they say the same, `tls` is the same object.
   * @throws ClusterError never again once it has succeeded: of a file that became unreadable the last content stays.
   */
  readonly current: () => Credentials
  /** Reads the token now, as after a 401: whether it is another one. */
  readonly renew: () => boolean
}

export interface Credentials {
  /** The header; absent for none. */
  readonly authorization?: string
  readonly tls: TlsSettings
}

/** In the words of node:tls. */
export interface TlsSettings {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  readonly rejectUnauthorized?: false
}

/** As client-go has it for token files. */
const TOKEN_LIFE_MS = 60_000

/**
 * Reads everything once.
 * @throws ClusterError for what is missing, broken or not supported in a daemon: credential plugins, proxies.
 */
export function openCredentials(options: AccessOptions & { readonly clock: Clock }): CredentialSource {
  const access = findAccess(options)
  refuseUnsupported(access)
  const server = field(access.cluster, 'server')
  const readTls = openTls(access)
  const token = openToken(access, options.clock)
  const current = (): Credentials => {
    const authorization = token.current()
    return { tls: readTls(), ...(authorization !== undefined && { authorization }) }
  }
  current()
  return { server, current, renew: token.renew }
}

const UNSUPPORTED: Readonly<Record<string, string>> = {
  exec: 'a credential plugin (exec)',
  'auth-provider': 'an auth-provider',
  as: 'impersonation (as)',
}

function refuseUnsupported({ source, cluster, user, userName }: Access): void {
  for (const [name, what] of Object.entries(UNSUPPORTED)) {
    if (user[name] === undefined || user[name] === null) continue
    throw new ClusterError(
      'credentials',
      `user '${oneLine(userName)}' of ${source} has ${what}, which the daemon does not run: use a token, tokenFile or client certificate`,
    )
  }
  if (field(cluster, 'proxy-url') !== '') {
    throw new ClusterError(
      'kubeconfig',
      `the cluster of ${source} has a proxy-url, and the daemon speaks to the API server directly: remove it, or name a server that this node reaches`,
    )
  }
}

interface Token {
  readonly current: () => string | undefined
  readonly renew: () => boolean
}

function openToken({ source, user, userName }: Access, clock: Clock): Token {
  const file = field(user, 'tokenFile')
  const who = `user '${oneLine(userName)}' of ${source}`
  if (file === '') {
    const fixed = fixedAuthorization(user, who)
    return { current: () => fixed, renew: () => false }
  }
  let header: string | undefined
  let readAt = 0
  const read = () => {
    readAt = clock.now()
    try {
      header = bearer(readText(file, `token of ${who}`), who)
    } catch (error) {
      if (header === undefined) throw error
    }
  }
  return {
    current: () => {
      if (header === undefined || clock.now() - readAt >= TOKEN_LIFE_MS) read()
      return header
    },
    renew: () => {
      const before = header
      read()
      return header !== before
    },
  }
}

function fixedAuthorization(user: Access['user'], who: string): string | undefined {
  const token = field(user, 'token')
  if (token !== '') return bearer(token, who)
  const name = field(user, 'username')
  if (name === '') return undefined
  return `Basic ${Buffer.from(`${name}:${field(user, 'password')}`).toString('base64')}`
}

function bearer(text: string, who: string): string {
  const token = text.trim()
  if (token === '') throw new ClusterError('credentials', `the token of ${who} is empty: renew it`)
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ClusterError('credentials', `the token of ${who} has characters that no header may hold: renew it`)
  }
  return `Bearer ${token}`
}

function openTls({ source, cluster, user }: Access): () => TlsSettings {
  const servername = field(cluster, 'tls-server-name')
  const insecure = cluster['insecure-skip-tls-verify'] === true
  const readParts = [
    openPart(cluster, 'certificate-authority', source),
    openPart(user, 'client-certificate', source),
    openPart(user, 'client-key', source),
  ]
  let known: readonly (string | undefined)[] = []
  let settings: TlsSettings | undefined
  return () => {
    const parts = readParts.map((read) => read())
    if (settings !== undefined && parts.every((part, index) => part === known[index])) return settings
    known = parts
    const [ca, cert, key] = parts
    settings = {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(servername !== '' && { servername }),
      ...(insecure && { rejectUnauthorized: false as const }),
    }
    return settings
  }
}

/** PEM text from `NAME-data`, which wins, or from the file NAME. */
function openPart(fields: Access['cluster'], name: string, source: string): () => string | undefined {
  const encoded = field(fields, `${name}-data`)
  if (encoded !== '') {
    const text = Buffer.from(encoded, 'base64').toString('utf8')
    if (!text.includes('-----BEGIN')) {
      throw new ClusterError('kubeconfig', `${name}-data of ${source} is not PEM in base64: correct it`)
    }
    return () => text
  }
  const file = field(fields, name)
  return file === '' ? () => undefined : openFile(file, `${name} of ${source}`)
}

/** The file's text, read again when the file is another one; the last good text while it can't be read. */
function openFile(file: string, what: string): () => string {
  let stamp = ''
  let text: string | undefined
  return () => {
    try {
      const { ino, mtimeMs, size } = statSync(file)
      const next = `${ino} ${mtimeMs} ${size}`
      if (text !== undefined && next === stamp) return text
      const read = readText(file, what)
      // Between the truncation of a file and its new content there is nothing to use.
      if (text === undefined || read.includes('-----BEGIN')) text = read
      stamp = next
      return text
    } catch (error) {
      if (text === undefined) throw unreadable(file, what, error)
      return text
    }
  }
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw unreadable(file, what, error)
  }
}

function unreadable(file: string, what: string, error: unknown): ClusterError {
  if (error instanceof ClusterError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const reason = code === 'ENOENT' ? `there is no ${file}` : oneLine(message)
  return new ClusterError('credentials', `the ${what} can't be read: ${reason}; check the path`, { cause: error })
}

function field(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name]
  return typeof value === 'string' ? value : ''
}
