// An Explanation as text for people: plain lines that can be pasted into an issue, the same for the same input.
import { describeOutcome } from './client-paths.ts'
import type { Explanation } from './explain.ts'
import type { Finding } from './finding.ts'
import type { Header, PortLine } from './header.ts'
import { count, showLabels } from './words.ts'

export interface PrintOptions {
  /** The width of lines in characters, at least 40. */
  readonly width: number
}

const LABEL_WIDTH = 12
const SEVERITY_WIDTH = 9
const MOST_NODES = 8

/** Several lines, without a newline at the end. */
export function printExplanation({ header, client, findings }: Explanation, options: PrintOptions): string {
  const paths =
    client === undefined
      ? []
      : [
          '',
          `From ${client.ip} (${client.title})`,
          ...client.paths.map((path) => `  ${path.to}: ${describeOutcome(path)}`),
        ]
  const found =
    findings.length === 0
      ? ['Nothing found: it should work.']
      : findings.flatMap((finding, index) => [...(index > 0 ? [''] : []), ...printFinding(finding, options)])
  return [...printHeader(header, options.width), ...paths, '', ...found].join('\n')
}

export function printFinding({ severity, at, means, advice }: Finding, { width }: PrintOptions): readonly string[] {
  const indent = ' '.repeat(SEVERITY_WIDTH)
  const place = [at.object, at.field].filter(Boolean).join(' ')
  return [
    `${severity}${' '.repeat(SEVERITY_WIDTH - severity.length)}${place}`,
    ...wrap(means, width - SEVERITY_WIDTH).map((line) => indent + line),
    ...(advice === undefined
      ? []
      : wrap(advice, width - SEVERITY_WIDTH - 3).map(
          (line, index) => `${indent}${index === 0 ? '-> ' : '   '}${line}`,
        )),
  ]
}

function printHeader(header: Header, width: number): readonly string[] {
  const { type, clusterIPs, externalIPs, loadBalancer, sourceRanges, ports, selector, pods, affinitySeconds } = header
  const policies = [
    ...(header.internalTrafficPolicy === undefined ? [] : [`internal ${header.internalTrafficPolicy}`]),
    ...(header.externalTrafficPolicy === undefined ? [] : [`external ${header.externalTrafficPolicy}`]),
    ...(affinitySeconds === undefined ? [] : [`ClientIP affinity for ${affinitySeconds} s`]),
  ]
  const lines: readonly (readonly [string, readonly string[]])[] = [
    ['type', [type]],
    ['cluster IP', [clusterIPs.join(', ')]],
    ['external IP', [externalIPs.join(', ')]],
    ['balancer', [loadBalancer.join(', ')]],
    ['ranges', [sourceRanges.join(', ')]],
    ['ports', ports.map(printPort)],
    ['policies', [policies.join(', ')]],
    [
      'selector',
      [
        selector === undefined
          ? 'none'
          : showLabels(selector) + (pods === undefined ? '' : ` (${count(pods.all, 'Pod')}, ${pods.ready} ready)`),
      ],
    ],
    ['endpoints', [printEndpoints(header)]],
    [
      'seen from',
      [`${header.seenFrom === undefined ? 'no particular node' : `node ${header.seenFrom}`}, ${header.mode} mode`],
    ],
  ]
  const shown = lines.flatMap(([label, texts]) =>
    texts
      .filter((text) => text !== '')
      .flatMap((text) => wrap(text, width - LABEL_WIDTH - 2))
      .map((text, index) => `  ${(index === 0 ? label : '').padEnd(LABEL_WIDTH)}${text}`),
  )
  return [`Service ${header.namespace}/${header.name}`, ...shown]
}

function printPort({ name, protocol, port, targetPort, nodePort, endpoints }: PortLine): string {
  const title = `${name === '' ? '' : `${name} `}${port}/${protocol} -> ${targetPort}`
  const serving = endpoints === undefined ? '' : `, ${endpoints.ready} of ${endpoints.all} ready`
  return `${title}${nodePort === undefined ? '' : `, node port ${nodePort}`}${serving}`
}

function printEndpoints({ endpoints: { ready, all, nodes } }: Header): string {
  if (all === 0) return 'none'
  const shares = nodes
    .slice(0, MOST_NODES)
    .map((share) => `${share.node === '' ? 'no node' : share.node} ${share.ready} of ${share.all}`)
  const more = nodes.length > MOST_NODES ? ` and ${nodes.length - MOST_NODES} more nodes` : ''
  return `${ready} of ${all} ready: ${shares.join(', ')}${more}`
}

/** Breaks at blanks; a word that is too long stays whole. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
