// A daemon's connection to the test double.
import type { Clock } from '../../src/kube/api/clock.ts'
import { type Connection, openConnection } from '../../src/kube/api/connection.ts'
import { openCredentials } from '../../src/kube/api/credentials.ts'
import { type ApiServer, tlsFile } from './api-server.ts'
import { oneContext, temporaryFolder } from './kubeconfig-file.ts'

export interface TestConnection extends Connection, Disposable {}

/** Trusts the double's CA. `user` is that of the kubeconfig. */
export function connectTo(server: Pick<ApiServer, 'url'>, clock: Clock, user: object = {}): TestConnection {
  const folder = temporaryFolder()
  const cluster = { server: server.url, 'certificate-authority': tlsFile('ca.crt') }
  const kubeconfig = folder.write('config', oneContext(cluster, user))
  const connection = openConnection({ credentials: openCredentials({ kubeconfig, clock }), clock })
  return {
    ...connection,
    [Symbol.dispose]: () => {
      connection.close()
      folder[Symbol.dispose]()
    },
  }
}
