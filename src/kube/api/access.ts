// Where the daemon's API server is and who it is there, as kube-proxy finds out: --kubeconfig, --master, both, or the
// service account of the pod.
import { existsSync } from 'node:fs'
import { ClusterError } from './cluster-error.ts'
import { type Access, readKubeconfig } from './kubeconfig.ts'

export interface AccessOptions {
  /** One file, or several separated as in KUBECONFIG. */
  readonly kubeconfig?: string
  /** The API server's URL, over that of the kubeconfig. Alone it means that server without credentials. */
  readonly master?: string
  /** Where KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are looked up; the process's by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** A folder put before `/var/run/secrets`, for tests. */
  readonly root?: string
}

/** @throws ClusterError when a file is missing or broken, or nothing says where the server is. */
export function findAccess({ kubeconfig = '', master = '', environment, root }: AccessOptions): Access {
  const access =
    kubeconfig !== ''
      ? readKubeconfig(kubeconfig, undefined)
      : master !== ''
        ? { source: '--master', cluster: {}, user: {}, userName: '' }
        : inClusterAccess(environment ?? process.env, root ?? '')
  return { ...access, cluster: { ...access.cluster, server: serverUrl(access, master) } }
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

function tokenPath(root: string): string {
  return `${root}${SERVICE_ACCOUNT}/token`
}

/** Whether this is a pod with a service account, as far as its files tell. `root` is put before the folder. */
export function hasServiceAccount(root: string): boolean {
  return existsSync(tokenPath(root))
}

/** The credentials of the pod that this runs in. @throws ClusterError when it is none, or has no service account. */
export function inClusterAccess(environment: Readonly<Record<string, string | undefined>>, root: string): Access {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? ''
  const tokenFile = tokenPath(root)
  if (host === '' || port === '' || !hasServiceAccount(root)) {
    throw new ClusterError(
      'no-configuration',
      `there is no API server: give --kubeconfig FILE or --master URL (this is not a pod with a service account: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT and the file ${tokenFile} are needed)`,
    )
  }
  return {
    source: 'the service account of this pod',
    cluster: {
      server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      'certificate-authority': `${root}${SERVICE_ACCOUNT}/ca.crt`,
    },
    user: { tokenFile },
    userName: 'service account',
  }
}

/** Without a slash at its end. As client-go: a server without scheme is http, unless the cluster has TLS settings. */
export function serverUrl({ source, cluster }: Access, master: string): string {
  const written = master === '' ? cluster['server'] : master
  if (typeof written !== 'string' || written === '') {
    throw new ClusterError(
      'kubeconfig',
      `${source} has no server for its cluster: add cluster.server, or give --master URL`,
    )
  }
  const secure = ['certificate-authority', 'certificate-authority-data', 'insecure-skip-tls-verify'].some((name) =>
    Boolean(cluster[name]),
  )
  const full = written.includes('://') ? written : `${secure ? 'https' : 'http'}://${written}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    throw new ClusterError('kubeconfig', `the server of ${source} is not a URL: write it like https://10.0.0.1:6443`)
  }
  return url.href.replace(/\/+$/, '')
}
