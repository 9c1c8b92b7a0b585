// A reflector over the test double, and what it tells, as short lines.
import { onTestFinished } from 'vitest'
import type { Clock } from '../../src/kube/api/clock.ts'
import { type Reflector, type ReflectorTrouble, startReflector } from '../../src/kube/api/reflector.ts'
import type { RawValue, Resource } from '../../src/kube/api/resource.ts'
import { connectTo } from './api-connection.ts'
import { type ApiServer, startApiServer } from './api-server.ts'
import { service } from './cluster-objects.ts'
import { fastClock } from './fast-clock.ts'

/** An object here is its cluster IP. */
export const RESOURCE: Resource<string> = {
  name: 'services',
  path: '/api/v1/services',
  labelSelector: '!service.kubernetes.io/service-proxy-name',
  fieldSelector: 'spec.clusterIP!=None',
  selects: (value) => clusterIP(value) !== 'None',
  decode: (value) => ({ object: clusterIP(value), issues: [] }),
}

function clusterIP(value: RawValue): string {
  return (value['spec'] as { readonly clusterIP: string }).clusterIP
}

export interface ReflectorRun {
  readonly server: ApiServer
  readonly reflector: Reflector
  /** What was told, in order. A list is `list a=1 b=2`; changes are `+a=1`, `a=1>2`, `-a=2`. */
  readonly told: string[]
  readonly trouble: ReflectorTrouble[]
  /** What a listener would know. */
  readonly known: () => Record<string, string>
  onTold: () => void
}

/** Stops by itself at the end of the test. */
export async function startRun(
  prepare: (server: ApiServer) => void = () => {},
  clock: Clock = fastClock(200),
): Promise<ReflectorRun> {
  const server = await startApiServer()
  const connection = connectTo(server, clock)
  prepare(server)
  const told: string[] = []
  const trouble: ReflectorTrouble[] = []
  let known = new Map<string, string>()
  const run = { onTold: () => {} }
  const reflector = startReflector<string>({
    connection,
    clock,
    resource: RESOURCE,
    onList: (objects) => {
      known = new Map([...objects].map(([key, { object }]) => [short(key), object ?? '']))
      told.push(['list', ...[...known].map(([key, ip]) => `${key}=${ip}`).toSorted()].join(' '))
      run.onTold()
    },
    onChanges: (changes) => {
      for (const { key, before, after } of changes) {
        const name = short(key)
        told.push(
          after === undefined
            ? `-${name}=${before}`
            : before === undefined
              ? `+${name}=${after}`
              : `${name}=${before}>${after}`,
        )
        if (after === undefined) known.delete(name)
        else known.set(name, after)
      }
      run.onTold()
    },
    onIssues: () => {},
    onTrouble: (found) => trouble.push(found),
  })
  onTestFinished(async () => {
    reflector.stop()
    connection[Symbol.dispose]()
    await reflector.done
    await server.close()
  })
  return Object.assign(run, { server, reflector, told, trouble, known: () => Object.fromEntries(known) })
}

function short(key: string): string {
  return key.replace('ns1/', '')
}

export const watches = (server: ApiServer) => server.requests.filter(({ query }) => query.get('watch') === 'true')
export const lists = (server: ApiServer) => server.requests.filter(({ query }) => query.get('watch') !== 'true')

/** What is there first: `a=1 b=2`, and a headless Service. */
export function putTwo({ store }: ApiServer): void {
  store.put('services', service('a', '1'))
  store.put('services', service('b', '2'))
  store.put('services', service('none', 'None'))
}
