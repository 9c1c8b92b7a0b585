// The page: one file with its style, its script and what it knows. It asks for nothing over a network, and its policy
// forbids that it does; no text of a cluster becomes markup or script.
import type { PageContent } from './page-content.ts'
import { escapeXml } from './svg.ts'

export interface PageParts {
  readonly template: string
  readonly style: string
  readonly script: string
  /** `sha256-...` of style and script, for the policy. */
  readonly styleHash: string
  readonly scriptHash: string
}

export function printPage(content: PageContent, parts: PageParts): string {
  const { template, style, script, styleHash, scriptHash } = parts
  const about = content.node === '' ? content.label : `${content.label}, node ${content.node}`
  const fill: Readonly<Record<string, string>> = {
    title: escapeXml(`Services of ${about}`),
    policy: `default-src 'none'; script-src '${scriptHash}'; style-src '${styleHash}'; base-uri 'none'; form-action 'none'`,
    style,
    script,
    content: jsonForScript(content),
  }
  return template.replace(/@@(\w+)@@/g, (_, name: string) => fill[name] ?? '')
}

/** JSON that a script element can hold: nothing in it ends the element or begins a comment. */
export function jsonForScript(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
