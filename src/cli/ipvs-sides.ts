// What a source has beside its rules in IPVS mode, by family, ready to be compared, linted and verified.
import { type IpvsSide, readIpvsSide } from '../compare/ipvs-side.ts'
import type { Family } from '../model/address.ts'
import { Failure } from './failure.ts'
import type { RuleSource } from './rule-source.ts'

type Source = Pick<RuleSource, 'ipvs' | 'sets' | 'addresses' | 'states'> & {
  readonly families: ReadonlyMap<Family, unknown>
}

/** @throws Failure for virtual servers that can't be read. */
export function ipvsSidesOf({ ipvs, sets, addresses, states, families }: Source): ReadonlyMap<Family, IpvsSide> {
  const read = (family: Family) =>
    readIpvsSide(
      {
        ...(ipvs !== undefined && { ipvs }),
        ...(sets && { sets }),
        ...(addresses && { addresses }),
        servicePorts: states?.get(family)?.servicePorts ?? [],
      },
      family,
    )
  try {
    return new Map([...families.keys()].map((family) => [family, read(family)]))
  } catch (error) {
    throw new Failure(`virtual servers: ${error instanceof Error ? error.message : String(error)}`)
  }
}
