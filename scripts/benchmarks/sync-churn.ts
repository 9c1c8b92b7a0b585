// The changes of the sync benchmark, as writes to the API server.
import type { IptablesVariant } from '../../src/sync/variant.ts'
import type { Write } from '../laboratory/api-double.ts'
import { type ApiService, generateOne } from './cluster.ts'

export const CHURNS = ['endpoint changed', 'Service added', 'Service deleted'] as const
export type Churn = (typeof CHURNS)[number]

export interface ChurnedCluster {
  readonly services: number
  readonly variant: IptablesVariant
  readonly changes: number
}

/** The `number`th change of its kind. Services that are added are those that are deleted later. */
export function churnWrites(churn: Churn, number: number, cluster: ChurnedCluster): readonly Write[] {
  // No node ports: every 20th Service has one, and they are not what is measured.
  const added = cluster.services + number * 20 + 1
  switch (churn) {
    case 'endpoint changed': {
      const { slice } = generateOne(Math.floor(((number + 1) * cluster.services) / (cluster.changes + 2)) * 1)
      return [{ kind: 'put', resource: 'endpointslices', value: withChange(slice, number, cluster.variant) }]
    }
    case 'Service added': {
      const { service, slice } = generateOne(added)
      return [
        { kind: 'put', resource: 'services', value: service },
        { kind: 'put', resource: 'endpointslices', value: slice },
      ]
    }
    case 'Service deleted': {
      const { service, slice } = generateOne(added)
      return [
        { kind: 'delete', resource: 'services', key: keyOf(service) },
        { kind: 'delete', resource: 'endpointslices', key: keyOf(slice) },
      ]
    }
    default:
      return churn satisfies never
  }
}

export function clusterIpOf(number: number): string {
  return (generateOne(number).service as unknown as { spec: { clusterIP: string } }).spec.clusterIP
}

export function keyOf({ metadata }: ApiService['service']): string {
  return `${String(metadata['namespace'])}/${String(metadata['name'])}`
}

/** Another pod for the first one; with legacy, whose changes show in the number of rules only, one pod less. */
function withChange(slice: ApiService['slice'], number: number, variant: IptablesVariant): object {
  const { endpoints } = slice as unknown as { readonly endpoints: readonly object[] }
  const rest = endpoints.slice(1)
  if (variant === 'legacy') return { ...slice, endpoints: rest }
  const address = `10.250.${number >> 8}.${number & 255}`
  return { ...slice, endpoints: [{ ...endpoints[0], addresses: [address] }, ...rest] }
}
