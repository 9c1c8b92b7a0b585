// The churn of the soak test: endless, from a fixed seed, around a number of Services that stays about the same.
import { type ApiService, generateOne } from '../benchmarks/cluster.ts'
import { keyOf } from '../benchmarks/sync-churn.ts'
import type { Write } from './api-double.ts'

export const SERVICES = 2_000
/** Services beyond the first ones, that come and go. */
const EXTRA = 200

/** Each call is one change: eight of ten change endpoints, the others make or delete a Service. */
export function createSoakChanges(): () => readonly Write[] {
  const random = createRandom(11)
  const present = new Set<number>()
  return () => {
    if (random(10) < 8) return [changeEndpoints(random(SERVICES), random)]
    const number = SERVICES + random(EXTRA)
    const { service, slice } = generateOne(number)
    if (present.delete(number)) {
      return [
        { kind: 'delete', resource: 'services', key: keyOf(service) },
        { kind: 'delete', resource: 'endpointslices', key: keyOf(slice) },
      ]
    }
    present.add(number)
    return [
      { kind: 'put', resource: 'services', value: service },
      { kind: 'put', resource: 'endpointslices', value: slice },
    ]
  }
}

/** None to seven endpoints, some of which are not ready or end. */
function changeEndpoints(number: number, random: (below: number) => number): Write {
  const { slice } = generateOne(number)
  const [first] = (slice as ApiService['slice'] & { readonly endpoints: readonly object[] }).endpoints
  const endpoints = Array.from({ length: random(8) }, (_, index) => {
    const ready = random(6) !== 0
    return {
      ...first,
      addresses: [`10.${200 + random(50)}.${random(250)}.${index}`],
      conditions: { ready, serving: ready || random(2) === 0, terminating: !ready },
    }
  })
  return { kind: 'put', resource: 'endpointslices', value: { ...slice, endpoints } }
}

function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return (state >> 8) % below
  }
}
