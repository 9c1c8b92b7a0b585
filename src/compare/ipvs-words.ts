// What differences of virtual servers, sets and addresses mean, as sentences. What several virtual servers of a Service
// have in common, such as a new endpoint, is said once.
import type { SavedService } from '../ipvs/parse.ts'
import { type BaseSetName, SET_NAMES, setComment, setName } from '../ipvs/sets.ts'
import type { Family } from '../model/address.ts'
import type { IpvsDifference, ObjectDifference } from './compare-ipvs.ts'
import { formatShare } from './effect-rule.ts'
import type { IpvsSide } from './ipvs-side.ts'
import type { SemanticDifference } from './semantic.ts'

/** `differences` are those of compareIpvs for the same two sides. */
export function explainIpvs(
  before: IpvsSide,
  after: IpvsSide,
  differences: readonly IpvsDifference[],
): readonly SemanticDifference[] {
  return differences
    .map(({ group, objects }) => ({ group, statements: explainObjects(objects, before, after) }))
    .filter(({ statements }) => statements.length > 0)
}

/** Of one group. */
export function explainObjects(
  objects: readonly ObjectDifference[],
  before: IpvsSide,
  after: IpvsSide,
): readonly string[] {
  const ofKind = (wanted: ObjectDifference['kind']) => objects.filter(({ kind }) => kind === wanted)
  return [
    ...explainServers(ofKind('virtual-server'), before, after),
    ...ofKind('set').flatMap((difference) => explainSet(difference, before, after)),
    ...ofKind('addresses').flatMap(explainAddresses),
  ]
}

function explainServers(objects: readonly ObjectDifference[], before: IpvsSide, after: IpvsSide): readonly string[] {
  const byStatement = new Map<string, string[]>()
  for (const { object } of objects) {
    const one = before.servers.get(object)
    const other = after.servers.get(object)
    const any = one ?? other
    if (any === undefined) continue
    for (const statement of describeServer(one, other)) {
      byStatement.set(statement, [...(byStatement.get(statement) ?? []), titleOf(any)])
    }
  }
  return [...byStatement].map(([statement, titles]) => `virtual server ${list(titles)}: ${statement}`)
}

/** `tcp 10.0.0.1:80`, or what ipvsadm calls it. */
export function titleOf(service: SavedService): string {
  return service.key ?? service.name
}

/** What becomes another one, in words; none when both do the same. */
export function describeServer(before: SavedService | undefined, after: SavedService | undefined): readonly string[] {
  if (before === undefined) return after === undefined ? [] : [`added: ${describeWhole(after)}`]
  if (after === undefined) return [`removed: ${describeWhole(before)}`]
  return [...describeOptions(before.options, after.options), ...describeReals(before, after)]
}

function describeWhole({ options, realServers }: SavedService): string {
  const { scheduler, seconds } = readOptions(options)
  const kept = seconds === undefined ? '' : `, a client keeps its endpoint for ${seconds} s`
  const endpoints = realServers.map(({ name }) => name).toSorted()
  return `scheduler ${scheduler}${kept}, ${endpoints.length === 0 ? 'no endpoint' : nameEndpoints(endpoints)}`
}

interface ServerOptions {
  readonly scheduler: string
  readonly seconds?: string
  readonly flags: string
  readonly others: string
}

function readOptions(options: string): ServerOptions {
  const pick = (flag: string) => new RegExp(`(?:^| )${flag} (\\S+)`).exec(options)?.[1]
  const seconds = pick('-p')
  return {
    scheduler: pick('-s') ?? 'unknown',
    ...(seconds !== undefined && { seconds }),
    flags: pick('-b') ?? 'none',
    others: options.replaceAll(/(?:^| )-[spb] \S+/g, '').trim(),
  }
}

function describeOptions(before: string, after: string): readonly string[] {
  if (before === after) return []
  const one = readOptions(before)
  const other = readOptions(after)
  const keeps = (seconds: string | undefined) => (seconds === undefined ? 'not at all' : `for ${seconds} s`)
  return [
    ...(one.scheduler === other.scheduler ? [] : [`scheduler ${other.scheduler} instead of ${one.scheduler}`]),
    ...(one.flags === other.flags ? [] : [`scheduler flags ${other.flags} instead of ${one.flags}`]),
    ...(one.seconds === other.seconds
      ? []
      : [`a client keeps its endpoint ${keeps(other.seconds)} instead of ${keeps(one.seconds)}`]),
    ...(one.others === other.others ? [] : [`options ${other.others || 'none'} instead of ${one.others || 'none'}`]),
  ]
}

function describeReals(before: SavedService, after: SavedService): readonly string[] {
  const one = new Map(before.realServers.map((real) => [real.name, real]))
  const other = new Map(after.realServers.map((real) => [real.name, real]))
  const added = [...other.keys()].filter((name) => !one.has(name)).toSorted()
  const removed = [...one.keys()].filter((name) => !other.has(name)).toSorted()
  const changed = [...other].flatMap(([name, real]) => {
    const old = one.get(name)
    if (old === undefined || old.options === real.options) return []
    if (old.weight !== real.weight) return [`endpoint ${name} has weight ${real.weight} instead of ${old.weight}`]
    return [`endpoint ${name} is reached with ${real.options} instead of ${old.options}`]
  })
  const moves = [
    ...(added.length > 0 ? [`${nameEndpoints(added)} added`] : []),
    ...(removed.length > 0 ? [`${nameEndpoints(removed)} removed`] : []),
    ...changed,
  ]
  const share = describeShare(before, after)
  return moves.length === 0 ? [] : [[...moves, ...(share === undefined ? [] : [share])].join('; ')]
}

/** Only round robin gives everybody the same; other schedulers look at connections or hashes. */
function describeShare(before: SavedService, after: SavedService): string | undefined {
  const now = equalShare(after)
  const then = equalShare(before)
  if (now === undefined) return undefined
  if (now === 0) return then === 0 ? undefined : 'none is left'
  if (now === then) return undefined
  const share = now === 1 ? 'it now gets all' : `each endpoint now gets ${formatShare(now)}`
  return then === undefined || then === 0 ? share : `${share} instead of ${formatShare(then)}`
}

function equalShare({ options, realServers }: SavedService): number | undefined {
  const active = realServers.filter(({ weight }) => weight > 0)
  if (active.length === 0) return 0
  const { scheduler } = readOptions(options)
  const alike = active.every(({ weight }) => weight === active[0]?.weight)
  return scheduler === 'rr' || (scheduler === 'wrr' && alike) ? 1 / active.length : undefined
}

function explainSet(
  { object, before, after, change }: ObjectDifference,
  ...[one, other]: readonly [IpvsSide, IpvsSide]
): readonly string[] {
  const first = before[0] ?? after[0] ?? ''
  if (!first.startsWith('create ')) {
    const start = `add ${object} `
    const members = (lines: readonly string[]) => list(lines.map((line) => line.slice(start.length)))
    const purpose = purposeOf(object, one.family)
    return [
      ...(before.length > 0 ? [`set ${object} (${purpose}): no longer has ${members(before)}`] : []),
      ...(after.length > 0 ? [`set ${object} (${purpose}): now has ${members(after)}`] : []),
    ]
  }
  // An empty set has no effect, and neither has room for more.
  if (change !== 'changed') {
    const size = (one.sets.get(object) ?? other.sets.get(object))?.entries.size ?? 0
    return size === 0 ? [] : [`set ${object} ${change === 'added' ? 'is there now' : 'is gone'}`]
  }
  const plain = (line: string | undefined) => (line ?? '').replace(/^create \S+ /, '').replace(/ maxelem \d+/, '')
  return plain(before[0]) === plain(after[0])
    ? []
    : [`set ${object} is ${plain(after[0])} instead of ${plain(before[0])}`]
}

/** As the comments of kube-proxy's rules say it. */
function purposeOf(set: string, family: Family): string {
  const base = SET_NAMES.find((name): name is BaseSetName => setName(name, family) === set)
  return base === undefined ? 'of others' : setComment(base).replace(/^Kubernetes /, '')
}

function explainAddresses({ before, after }: ObjectDifference): readonly string[] {
  const ips = (lines: readonly string[]) => list(lines.map((line) => line.replace(/\/\d+$/, '')))
  return [
    ...(before.length > 0 ? [`kube-ipvs0 no longer has ${ips(before)}`] : []),
    ...(after.length > 0 ? [`kube-ipvs0 now has ${ips(after)}`] : []),
  ]
}

function nameEndpoints(names: readonly string[]): string {
  return `${names.length === 1 ? 'endpoint' : 'endpoints'} ${list(names)}`
}

const MOST_LISTED = 5

function list(names: readonly string[]): string {
  const shown = names.slice(0, MOST_LISTED).join(', ')
  return names.length > MOST_LISTED ? `${shown} and ${names.length - MOST_LISTED} more` : shown
}
