// A host's facts as a file, for `--host FILE`: the node's name, its interfaces with their addresses, and what its
// kernel can do. JSON, or YAML as its superset. The same format records a live host, so that a render can be repeated.
import * as v from 'valibot'
import { type Document, parseDocument } from 'yaml'
import { hostCidr, type Ip, parseCidr, parseIp } from '../model/address.ts'
import { ASSUMED_FEATURES, type Host, type HostFeatures } from '../model/host.ts'
import type { Issue } from '../model/issue.ts'

export interface NamedHost extends Host {
  readonly nodeName?: string
}

const FILE = v.strictObject({
  nodeName: v.optional(v.string()),
  interfaces: v.record(v.string(), v.array(v.string())),
  features: v.optional(
    v.strictObject({
      nfacct: v.optional(v.boolean()),
      randomFully: v.optional(v.boolean()),
      tcpBeLiberal: v.optional(v.boolean()),
    }),
  ),
})
type HostFile = v.InferOutput<typeof FILE>

const EXPECTED: Readonly<Record<string, string>> = {
  Array: 'a list of addresses',
  Object: 'named fields',
  boolean: 'true or false',
  string: 'text in quotes',
}
const EXAMPLE = '{"nodeName": "node1", "interfaces": {"eth0": ["192.168.1.63/24"]}, "features": {"nfacct": true}}'

/**
 * Reads a host file. Without `host` the text is no such file, and the issues say why. An unreadable address is left
 * out and is an error; a feature that the file leaves open is assumed as ASSUMED_FEATURES has it, and is a notice.
 */
export function decodeHost(text: string, source: string): { host?: NamedHost; issues: readonly Issue[] } {
  const document = parseDocument(text, { prettyErrors: false })
  const broken = document.errors[0]
  if (broken !== undefined) {
    const line = text.slice(0, broken.pos[0]).split('\n').length
    return { issues: [{ severity: 'error', at: { source, line }, message: `${broken.message}: correct the file` }] }
  }
  const parsed = v.safeParse(FILE, plainValue(document))
  if (!parsed.success) return { issues: parsed.issues.map((issue) => shapeIssue(issue, source)) }
  const issues: Issue[] = []
  const host = {
    ...(parsed.output.nodeName !== undefined && { nodeName: parsed.output.nodeName }),
    addresses: decodeAddresses(parsed.output, source, issues),
    features: decodeFeatures(parsed.output, source, issues),
  }
  return { host, issues }
}

/** The file that decodeHost reads the same host from. Interface names and prefix lengths are not part of a Host. */
export function printHost(host: NamedHost): string {
  const { nodeName, addresses, features } = host
  return `${JSON.stringify({ nodeName, interfaces: { all: addresses.map(hostCidr) }, features }, undefined, 2)}\n`
}

function decodeAddresses(file: HostFile, source: string, issues: Issue[]): readonly Ip[] {
  const addresses = new Set<Ip>()
  for (const [name, texts] of Object.entries(file.interfaces)) {
    for (const [index, text] of texts.entries()) {
      const ip = decodeAddress(text)
      if (ip !== undefined) addresses.add(ip)
      else {
        issues.push({
          severity: 'error',
          at: { source, field: `interfaces.${name}[${index}]` },
          message: `${JSON.stringify(text)} is not an address with a prefix length: write it like 192.168.1.63/24 or fd00::1/64`,
        })
      }
    }
  }
  return [...addresses]
}

/** The prefix length has no bearing on the rules, but one that makes no sense betrays a typing error. */
function decodeAddress(text: string): Ip | undefined {
  if (!text.includes('/')) return parseIp(text)
  return parseCidr(text) && parseIp(text.slice(0, text.lastIndexOf('/')))
}

function decodeFeatures(file: HostFile, source: string, issues: Issue[]): HostFeatures {
  const features = { ...ASSUMED_FEATURES }
  for (const name of ['nfacct', 'randomFully', 'tcpBeLiberal'] as const) {
    const given = file.features?.[name]
    if (given !== undefined) features[name] = given
    else {
      issues.push({
        severity: 'notice',
        at: { source, field: `features.${name}` },
        message: `not given, assumed ${features[name]}`,
      })
    }
  }
  return features
}

/** Undefined, which fits no shape, for a list and for a document that multiplies itself with aliases beyond reason. */
function plainValue(document: Document.Parsed): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    return Array.isArray(value) ? undefined : value
  } catch {
    return undefined
  }
}

function shapeIssue(issue: v.BaseIssue<unknown>, source: string): Issue {
  const field = v.getDotPath(issue)
  return { severity: 'error', at: { source, ...(field !== null && { field }) }, message: shapeProblem(issue, field) }
}

function shapeProblem(issue: v.BaseIssue<unknown>, field: string | null): string {
  if (field === null) return `this is no host file: write one like ${EXAMPLE}`
  if (issue.expected === 'never') return 'is not a field of a host file: remove it'
  if (issue.received === 'undefined') return `is missing: write a host file like ${EXAMPLE}`
  return `expected ${EXPECTED[issue.expected ?? ''] ?? issue.expected}, found ${issue.received}`
}
