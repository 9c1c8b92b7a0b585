// What the page knows: for every Service its ports, and for every form of port one drawing and everybody's ways, traced
// by the simulator. Ten thousand Services have few forms, so the page stays small and quick.
import { formatEndpoint, hostCidr } from '../model/address.ts'
import type { NodeNetwork } from '../packet/network.ts'
import { formatShare, isWhole, type Share } from '../packet/share.ts'
import { entranceText, type PortRules } from './entrances.ts'
import { columnWidths } from './layout.ts'
import { breakLines } from './line-breaks.ts'
import type { Picture } from './picture.ts'
import type { PortPicture } from './port-picture.ts'
import type { PortPictures } from './port-pictures.ts'
import { printSvgPart } from './svg.ts'
import { collectNames, type Names, takeOut } from './tokens.ts'
import { CLIENTS, nodeAddress, type TracePacket, wayIn } from './ways.ts'

export interface PageContent {
  /** Where the rules come from: `cluster.yaml`. */
  readonly label: string
  /** Empty when it is not known. */
  readonly node: string
  readonly clients: readonly string[]
  readonly forms: readonly PageForm[]
  readonly services: readonly PageService[]
}

/** Texts hold `{0}`, `{1}` for the names of a port: src/picture/tokens.ts. */
export interface PageForm {
  readonly svg: string
  readonly entrances: readonly { readonly node: number; readonly kind: string; readonly text: string }[]
  /** For each entrance, for each client; 0 where no such client is known. */
  readonly ways: readonly (readonly (PageWay | 0)[])[]
}

export interface PageWay {
  readonly from: string
  readonly words: readonly string[]
  readonly arrives: boolean
  readonly nodes: readonly Lit[]
  readonly edges: readonly Lit[]
}

/** A position, and a share such as `33.3%` where it is not everything. */
export type Lit = number | readonly [number, string]

/** Its name and its ports, or none and why. */
export type PageService = readonly [string, readonly PagePort[], string?]
/** The form's position, then the names that belong into its texts, the port's own first. */
export type PagePort = readonly [number, ...string[]]

export interface FamilyInput {
  readonly pictures: PortPictures
  readonly network: NodeNetwork
  readonly trace: TracePacket
}

export interface ContentOptions {
  readonly label: string
  readonly node: string
  readonly wanted: (service: string) => boolean
  /** Why Services have no rules, by name. */
  readonly without?: ReadonlyMap<string, string>
  /** Hears how far it is, from 0 to 1. */
  readonly progress?: (done: number) => void
  /** Trace every port by itself. */
  readonly alone?: true
}

export function describePage(families: readonly FamilyInput[], options: ContentOptions): PageContent {
  const forms: PageForm[] = []
  const services = new Map<string, PagePort[]>()
  for (const [turn, input] of families.entries()) {
    const addPort = createForms(input, forms, options)
    const wanted = input.pictures.ports.filter(({ service }) => options.wanted(service))
    for (const [index, rules] of wanted.entries()) {
      const ports = services.get(rules.service) ?? []
      services.set(rules.service, ports)
      ports.push(addPort(rules))
      if (index % 100 === 0) options.progress?.((turn + index / wanted.length) / families.length)
    }
  }
  const without = [...(options.without ?? [])].map(([service, why]): PageService => [service, [], why])
  const sorted = [...services, ...without].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return { label: options.label, node: options.node, clients: CLIENTS, forms, services: sorted }
}

/** Adds a port to the forms when it has a new one. */
function createForms(input: FamilyInput, forms: PageForm[], { alone }: ContentOptions): (rules: PortRules) => PagePort {
  const known = new Map<string, number>()
  const distinguish = alone === true ? undefined : input.pictures.distinguish(input.network)
  return (rules) => {
    const picture = input.pictures.draw(rules)
    const names = namesOf(picture, input.network)
    const broken = breakLines(picture)
    const template = withoutNames(broken, names)
    const widths = columnWidths(broken).map((width) => Math.ceil(width / 2) * 2)
    const endpoints = picture.nodes.flatMap(({ kind, lines: [text = ''] }) => (kind === 'endpoint' ? [text] : []))
    const key = distinguish
      ? JSON.stringify([template.nodes, template.edges, widths, rules.protocol, distinguish(rules, endpoints)])
      : `${rules.name} ${rules.protocol}`
    const form = known.get(key) ?? forms.push(traceForm(picture, template, names, widths, input)) - 1
    known.set(key, form)
    return [form, ...names.list]
  }
}

/** The port's name first, then everything in which two ports of the same form differ. */
function namesOf({ rules, nodes }: PortPicture, network: NodeNetwork): Names {
  const { name, service, protocol, entrances } = rules
  const own = entrances.flatMap((entrance) => {
    const { ip = nodeAddress(network), port } = entrance
    const asked = ip === undefined ? [] : [formatEndpoint(ip, port), ip, hostCidr(ip)]
    return [entranceText(entrance, protocol), ...asked, String(port)]
  })
  const chains = nodes.flatMap(({ kind, lines: [first = '', second = ''] }) => {
    if (kind === 'chain') return [first]
    return kind === 'endpoint' ? [first, second, first.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')] : []
  })
  // What is more than a word, such as a weight, is no name.
  const single = chains.filter((text) => !text.includes(' '))
  return collectNames([name, service, ...own, ...single])
}

function withoutNames({ title, nodes, edges }: Picture, names: Names): Picture {
  return {
    title: takeOut(title, names),
    nodes: nodes.map((node) => ({ ...node, lines: node.lines.map((line) => takeOut(line, names)) })),
    edges: edges.map(({ label, ...edge }) => ({
      ...edge,
      ...(label !== undefined && { label: takeOut(label, names) }),
    })),
  }
}

function traceForm(
  picture: PortPicture,
  template: Picture,
  names: Names,
  widths: readonly number[],
  { network, trace }: FamilyInput,
): PageForm {
  const { rules } = picture
  return {
    svg: printSvgPart(template, widths),
    entrances: rules.entrances.map((entrance, position) => ({
      node: picture.entrances[position] ?? 0,
      kind: entrance.kind,
      text: takeOut(entranceText(entrance, rules.protocol), names),
    })),
    ways: rules.entrances.map((_, position) =>
      CLIENTS.map((client) => {
        const way = wayIn(picture, position, client, network, trace)
        if (way === undefined) return 0
        const { packet, words, arrives, light } = way
        return {
          from: takeOut(packet.source, names),
          words: words.map((line) => takeOut(line, names)),
          arrives,
          nodes: listLight(light.nodes),
          edges: listLight(light.edges),
        }
      }),
    ),
  }
}

function listLight(shares: ReadonlyMap<number, Share>): readonly Lit[] {
  return [...shares].map(([position, share]) => (isWhole(share) ? position : [position, formatShare(share)]))
}
