// Whatever the cluster: every Service gets an explanation, and on a Service that serves everybody there is no error.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { assembleCluster } from '../../src/explain/assemble.ts'
import { explainService } from '../../src/explain/explain.ts'
import { compile, type ServicePort } from '../../src/index.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { arbitrarySnapshot, NODES } from '../support/arbitrary-cluster.ts'
import { viewpoint } from '../support/explained.ts'
import { rawObjectsOf } from '../support/raw-snapshot.ts'

const serves = ({ internal, external, endpoints }: ServicePort) =>
  internal.kind === 'balance' && external.kind === 'balance' && endpoints.reachable.length > 0

test('an error is found where rules refuse or drop some traffic to a cluster IP, and none where all of it is served', () => {
  fc.assert(
    fc.property(arbitrarySnapshot(), fc.constantFrom(...NODES), (snapshot, node) => {
      const objects = rawObjectsOf(snapshot).map((value) => ({ value, at: {} }))
      const { cluster } = assembleCluster(objects, { complete: false, knowsPods: false })
      const view = viewpoint(cluster, { node })
      const { node: facts, config } = view
      if (facts === undefined) throw new Error('no node')
      const ports = FAMILIES.flatMap((family) => compile(cluster.snapshot, config, facts, family).servicePorts)
      const wrong = cluster.services.filter((service) => {
        const own = ports.filter((port) => port.service === service.key)
        const { findings } = explainService(service, cluster, view)
        const errors = findings.filter(({ severity }) => severity === 'error')
        const fails = own.some(({ internal, external }) => internal.kind !== 'balance' || external.kind === 'reject')
        const isServed = own.length > 0 && own.every(serves)
        return isServed ? errors.some(({ check }) => !ABOUT_ADDRESSES.has(check)) : fails && errors.length === 0
      })
      expect(wrong.map(({ key }) => key)).toEqual([])
    }),
    { numRuns: 300 },
  )
})

/** Addresses that are listed and can't work, while the others do. */
const ABOUT_ADDRESSES: ReadonlySet<string> = new Set([
  'address-conflict',
  'external-ip-family',
  'external-ip-unusable',
  'clashing-ports',
  'nameless-port',
  'endpoint-is-service',
])
