// What compiling costs: from decoded objects to the full text for iptables-restore, the text of one change, and reading a
// dump. The baseline of each figure is in the same run.

import { stringify } from 'yaml'
import { keepHeapSmall } from '../../src/host/heap.ts'
import {
  assembleSnapshot,
  compile,
  createCompiler,
  decodeProxyConfig,
  describeNode,
  diffPrograms,
  parseDocuments,
  printRestore,
  type RawObject,
  type ServiceEntry,
  type Snapshot,
  writePayload,
} from '../../src/index.ts'
import { link as linkRules } from '../../src/iptables/link.ts'
import { decodeEndpointSlice, decodeService } from '../../src/kube/decode/decode.ts'
import { generateList, generateServices } from './cluster.ts'
import { inOwnProcess, median, peakMemory, printTable, time, writeResults } from './measure.ts'

const SIZES = [1_000, 10_000, 50_000]
const READ_SIZE = 10_000
const RUNS = 7
const CHANGES = 21
const CONFIG = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.128.0.0/9\n'

interface CompileFigures {
  readonly services: number
  readonly natRules: number
  readonly megabytes: number
  readonly fullMs: number
  readonly changeMs: number
  readonly changeLines: number
  readonly peakMiB: number
}

interface ReadFigures {
  readonly format: string
  readonly megabytes: number
  readonly readMs: number
  readonly decodeMs: number
  readonly peakMiB: number
}

keepHeapSmall()
const [what, argument] = process.argv.slice(2)
if (what === 'size') console.log(JSON.stringify(measureCompiling(Number(argument))))
else if (what === 'read') console.log(JSON.stringify(measureReading(argument === 'yaml' ? 'yaml' : 'json')))
else runAll()

function runAll(): void {
  const compiling = SIZES.map((size) => inOwnProcess('size', String(size)) as CompileFigures)
  const base = compiling[0]?.fullMs ?? Number.NaN
  printTable(
    `compile: decoded objects -> iptables-restore text, median of ${RUNS}; one endpoint changed, median of ${CHANGES}`,
    compiling.map((figures) => ({
      services: figures.services,
      'nat rules': figures.natRules,
      MB: figures.megabytes,
      'full ms': figures.fullMs,
      'per service, against 1,000': `${(figures.fullMs / base / (figures.services / (SIZES[0] ?? 1))).toFixed(2)}x`,
      'change ms': figures.changeMs,
      'change lines': figures.changeLines,
      'change against full': `1/${Math.round(figures.fullMs / figures.changeMs)}`,
      'peak MiB': figures.peakMiB,
    })),
  )
  const reading = (['json', 'yaml'] as const).map((format) => inOwnProcess('read', format) as ReadFigures)
  const json = reading[0]?.readMs ?? Number.NaN
  printTable(
    `read: a dump of ${READ_SIZE.toLocaleString('en')} Services and as many EndpointSlices -> Snapshot`,
    reading.map((figures) => ({
      format: figures.format,
      MB: figures.megabytes,
      'read ms': figures.readMs,
      'against JSON': `${(figures.readMs / json).toFixed(1)}x`,
      'decode ms': figures.decodeMs,
      'peak MiB': figures.peakMiB,
    })),
  )
  writeResults('compile', { compiling, reading })
}

function measureCompiling(services: number): CompileFigures {
  const { snapshot, config, node } = prepare(services)
  let bytes = 0
  const full = time(RUNS, () => {
    const text = writePayload(compile(snapshot, config, node, 'ipv4'))
    bytes = text.blocks().reduce((sum, block) => sum + block.length, 0)
  })
  const peakMiB = peakMemory()
  const compiler = createCompiler(config, node, 'ipv4')
  let before = compiler(snapshot)
  let lines = 0
  let changed = snapshot
  const changes = Array.from({ length: CHANGES }, (_, number) => {
    changed = withoutFirstEndpoint(changed, Math.floor(((number + 1) * services) / (CHANGES + 1)))
    return time(1, () => {
      const desired = compiler(changed)
      lines = printRestore(diffPrograms(desired, before)).split('\n').length - 1
      before = desired
    })
  }).flat()
  const natRules = [
    ...(linkRules(compile(snapshot, config, node, 'ipv4'))
      .tables.get('nat')
      ?.entries() ?? []),
  ]
    .filter(([chain]) => chain.startsWith('KUBE-'))
    .reduce((sum, [, { rules }]) => sum + rules.length, 0)
  return {
    services,
    natRules,
    megabytes: bytes / 1e6,
    fullMs: median(full),
    changeMs: median(changes),
    changeLines: lines,
    peakMiB,
  }
}

function measureReading(format: 'json' | 'yaml'): ReadFigures {
  const list = generateList(READ_SIZE)
  const text =
    format === 'json' ? JSON.stringify(list, undefined, 2) : stringify(list, { aliasDuplicateObjects: false })
  let objects: readonly RawObject[] = []
  const reading = time(format === 'json' ? RUNS : 3, () => {
    objects = parseDocuments(text, `dump.${format}`).objects
  })
  const decoding = time(3, () => assembleSnapshot(objects))
  return {
    format,
    megabytes: text.length / 1e6,
    readMs: median(reading),
    decodeMs: median(decoding),
    peakMiB: peakMemory(),
  }
}

function prepare(services: number) {
  const entries = Array.from(generateServices(services), ({ service, slice }): ServiceEntry => {
    const decoded = decodeService(service, {}).object
    const decodedSlice = decodeEndpointSlice(slice, {}).object
    if (decoded === undefined || decodedSlice === undefined) throw new Error('a generated object is invalid')
    return { key: decodedSlice.service, service: decoded, slices: [decodedSlice] }
  })
  const snapshot: Snapshot = { services: entries.toSorted((a, b) => (a.key < b.key ? -1 : 1)), nodes: new Map() }
  const { config } = decodeProxyConfig(CONFIG, 'benchmark')
  if (config === undefined) throw new Error('the benchmark configuration is invalid')
  return { snapshot, config, node: describeNode('node1', undefined, config, undefined).facts }
}

function withoutFirstEndpoint(snapshot: Snapshot, index: number): Snapshot {
  const services = snapshot.services.map((entry, at): ServiceEntry => {
    if (at !== index) return entry
    return { ...entry, slices: entry.slices.map((slice) => ({ ...slice, endpoints: slice.endpoints.slice(1) })) }
  })
  return { ...snapshot, services }
}
