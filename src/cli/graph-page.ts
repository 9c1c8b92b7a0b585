// `sluice graph -o html`: the page's parts, which lie beside the program, and what the page knows.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type PageParts, printPage } from '../picture/page.ts'
import { describePage, type FamilyInput } from '../picture/page-content.ts'
import type { PortPictures } from '../picture/port-pictures.ts'
import { pictureNetwork } from './graph-network.ts'
import { isSelected, type Selection } from './graph-selection.ts'
import type { RuleSource } from './rule-source.ts'
import type { Terminal } from './terminal.ts'
import { simulatorFor } from './trace-network.ts'

const FOLDER = '../picture/page/'

interface PageChoice {
  readonly selection: Selection
  /** Why Services have no rules, by name. */
  readonly without: ReadonlyMap<string, string>
  /** The option --host. */
  readonly host: string | undefined
}

/** The whole document. */
export function drawPage(
  source: RuleSource,
  families: readonly PortPictures[],
  { selection, without, host }: PageChoice,
  terminal: Terminal,
): string {
  const inputs = families.map((pictures): FamilyInput => {
    const { network, note } = pictureNetwork(source, pictures.family, host)
    const asksNode = pictures.ports.some(({ entrances }) => entrances.some(({ ip }) => ip === undefined))
    if (note !== undefined && asksNode) terminal.say(note)
    return { pictures, network, trace: simulatorFor(source, pictures.family) }
  })
  const content = describePage(inputs, {
    label: source.label,
    node: source.node?.name ?? '',
    wanted: (service) => isSelected(selection, service),
    without: new Map([...without].filter(([service]) => isSelected(selection, service))),
    progress: (done) => terminal.progress('tracing everybody to every Service', done),
  })
  return printPage(content, readParts())
}

function readParts(): PageParts {
  const read = (name: string) => readFileSync(new URL(`${FOLDER}${name}`, import.meta.url), 'utf8')
  const [template, script] = [read('page.template'), read('page.js')]
  const style = read('page.css') + read('drawing.css')
  return { template, style, script, styleHash: hashOf(style), scriptHash: hashOf(script) }
}

/** https://www.w3.org/TR/CSP3/#grammardef-hash-source */
function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
