// One consistent read of a live cluster, for the commands that look at one. The only file that loads the Kubernetes
// client, for its knowledge of credentials: that costs 0.4 seconds and 80 MB, so import this file lazily, and never in
// the daemon.
import { existsSync, readFileSync } from 'node:fs'
import type { RequestOptions } from 'node:https'
import { homedir } from 'node:os'
import path from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import type { Issue } from '../../model/issue.ts'
import type { RawObject } from '../manifests/documents.ts'
import { isMapping } from '../manifests/parsed-document.ts'
import { hasServiceAccount, inClusterAccess, serverUrl } from './access.ts'
import { ClusterError, errorCode, oneLine } from './cluster-error.ts'
import { readLists } from './cluster-lists.ts'
import { openSession, PATIENCE, type Patience } from './cluster-session.ts'
import { type Access, readKubeconfig } from './kubeconfig.ts'

export interface ClusterOptions {
  /** One file, or several separated as in KUBECONFIG. */
  readonly kubeconfig?: string
  readonly context?: string
  /** The API server's URL, over that of the kubeconfig. Alone it means that server without credentials. */
  readonly master?: string
  /** The service account of the pod this runs in, whatever kubeconfig there is. */
  readonly inCluster?: boolean
  /** Read only this Node; every Node by default. */
  readonly nodeName?: string
  readonly signal?: AbortSignal
  /** Called after each page that was read, with a text such as `500 services`. */
  readonly onProgress?: (done: string) => void
  /** Also what no rule is made of: headless Services, those of other proxies, and Pods, of all namespaces or of one. */
  readonly beyondRules?: { readonly podNamespace?: string }
  readonly patience?: Partial<Patience>
  /** A folder put before `/var/run/secrets`, for tests of the in-cluster credentials. */
  readonly root?: string
}

export interface ClusterRead {
  /** Services, then EndpointSlices, then Nodes, each with kind and apiVersion, and without managedFields. */
  readonly objects: readonly RawObject[]
  /** The URL that was read. */
  readonly server: string
  /** Notices about the read, such as that it could not be consistent. */
  readonly issues: readonly Issue[]
  /** Pods were asked for and read, though there may be none. */
  readonly knowsPods: boolean
}

/**
 * All Services, EndpointSlices and Nodes that bear on a node's rules, at one resource version. Without options, the
 * credentials are those of ~/.kube/config, else those of the pod this runs in.
 * @throws ClusterError for everything that can go wrong, and the signal's reason when aborted.
 */
export async function readCluster(options: ClusterOptions): Promise<ClusterRead> {
  const target = await findTarget(options)
  const server = serverUrl(target, options.master ?? '')
  const session = openSession({
    server,
    authorize: () => authorize(target, server),
    patience: { ...PATIENCE, ...options.patience },
    ...(options.signal && { signal: options.signal }),
  })
  try {
    return { ...(await readLists(session, options)), server }
  } finally {
    session.close()
  }
}

async function findTarget(options: ClusterOptions): Promise<Access> {
  const { kubeconfig, context, master } = options
  if (options.inCluster === true) return inClusterAccess(process.env, options.root ?? '')
  if (kubeconfig !== undefined && kubeconfig !== '') return readKubeconfig(kubeconfig, context)
  // The credentials of ~/.kube/config belong to the servers it names, not to any URL.
  if (master !== undefined && context === undefined) return { source: '--master', cluster: {}, user: {}, userName: '' }
  const usual = path.join(process.env['HOME'] ?? homedir(), '.kube', 'config')
  if (existsSync(usual)) return readKubeconfig(usual, context)
  if (context !== undefined) {
    throw new ClusterError(
      'unknown-context',
      `there is no context '${oneLine(context)}', because there is no ${usual}: give --kubeconfig FILE`,
    )
  }
  if (hasServiceAccount(options.root ?? '')) return inClusterAccess(process.env, options.root ?? '')
  throw new ClusterError(
    'no-configuration',
    `there is no cluster to read: give --kubeconfig FILE or set KUBECONFIG (there is no ${usual}, and this is not a pod with a service account)`,
  )
}

/** What the client makes of the credentials: headers, certificates, and an agent if there is a proxy. */
async function authorize(target: Access, server: string): Promise<RequestOptions> {
  const config = new KubeConfig()
  const options: RequestOptions = {}
  try {
    config.loadFromString(JSON.stringify(forClient(target, server)))
    await config.applyToHTTPSOptions(options)
  } catch (error) {
    throw describeCredentialFailure(target, error)
  }
  const { agent, headers, ...rest } = options
  const proxied = Boolean(target.cluster['proxy-url'])
  return { ...rest, ...(proxied && agent !== undefined && { agent }), headers: requestHeaders(target, headers) }
}

/** A kubeconfig with this one context, in the words that the client reads. */
function forClient({ cluster, user, userName }: Access, server: string): object {
  const { tokenFile, exec, ...plain } = user
  const token =
    typeof tokenFile === 'string' && tokenFile !== ''
      ? // The client knows token files only under this name; they win over a token, as with client-go.
        { token: undefined, 'auth-provider': { name: 'tokenFile', config: { tokenFile } } }
      : {}
  const plugin = isMapping(exec) ? { exec: withExecInfo(exec, cluster, server) } : {}
  // The client refuses plain HTTP without this.
  const insecure = server.startsWith('http:') ? { 'insecure-skip-tls-verify': true } : {}
  return {
    clusters: [{ name: 'cluster', cluster: { ...cluster, ...insecure, server } }],
    // Without any user the client ignores the cluster's CA too.
    users: [{ name: userName || 'anonymous', user: { ...plain, ...plugin, ...token } }],
    contexts: [{ name: 'context', context: { cluster: 'cluster', user: userName || 'anonymous' } }],
    'current-context': 'context',
  }
}

/** Credential plugins are told by this variable what is wanted of them; the client leaves it out. */
function withExecInfo(exec: Fields, cluster: Fields, server: string): Fields {
  const authority = cluster['certificate-authority']
  const told = {
    server,
    'certificate-authority-data':
      typeof authority === 'string'
        ? readFileSync(authority).toString('base64')
        : cluster['certificate-authority-data'],
    'insecure-skip-tls-verify': cluster['insecure-skip-tls-verify'],
    'tls-server-name': cluster['tls-server-name'],
  }
  const info = {
    kind: 'ExecCredential',
    apiVersion: exec['apiVersion'],
    spec: { interactive: false, ...(exec['provideClusterInfo'] === true && { cluster: told }) },
  }
  const written = Array.isArray(exec['env']) ? (exec['env'] as readonly unknown[]) : []
  return { ...exec, env: [...written, { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }] }
}

function requestHeaders(target: Access, headers: RequestOptions['headers']): Record<string, string> {
  const written = Object.entries((headers ?? {}) as Readonly<Record<string, unknown>>)
  // Token files end with a newline, which no header may hold.
  const trimmed = Object.fromEntries(written.map(([name, value]) => [name, String(value).trim()]))
  if (trimmed['Authorization'] === 'Bearer' || (target.user['tokenFile'] && trimmed['Authorization'] === undefined)) {
    throw new ClusterError(
      'credentials',
      `the token of user '${target.userName}' of ${target.source} is empty: renew it`,
    )
  }
  return { Accept: 'application/json', 'User-Agent': 'sluice', ...trimmed }
}

function describeCredentialFailure(target: Access, error: unknown): ClusterError {
  const { exec } = target.user
  const code = errorCode(error)
  const reason = oneLine(error instanceof Error ? error.message : String(error))
  const who = `user '${target.userName}' of ${target.source}`
  if (isMapping(exec) && !/^ENOENT: .*open '/.test(reason)) {
    const command = typeof exec['command'] === 'string' ? oneLine(exec['command']) : ''
    const why =
      code === 'ENOENT' ? 'there is no such program; install it' : reason || 'it ended with an error and said nothing'
    return new ClusterError(
      'credentials',
      `the credential plugin '${command}' of ${who} failed: ${why}; run it by hand to see more`,
      { cause: error },
    )
  }
  return new ClusterError(
    'credentials',
    `the credentials of ${who} can't be used: ${reason}; correct the kubeconfig or renew them`,
    { cause: error },
  )
}

type Fields = Readonly<Record<string, unknown>>
