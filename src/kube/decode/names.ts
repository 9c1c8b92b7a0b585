// Names as Kubernetes allows them. They end in rule comments, chain names and files, so nothing else gets past here.

const LONGEST_LABEL = 63
const LONGEST_SUBDOMAIN = 253
const LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/

/** A DNS-1123 label: namespaces, Services, ports. */
export function isDnsLabel(text: string): boolean {
  return text.length <= LONGEST_LABEL && LABEL.test(text)
}

/** A DNS-1123 subdomain: EndpointSlices, Nodes. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= LONGEST_SUBDOMAIN && SUBDOMAIN.test(text)
}

/**
 * The text in memory of its own. What a parser returns can be a window on the whole document, and one name that is kept
 * would keep all of it.
 */
export function ownText(text: string): string {
  return ` ${text}`.slice(1)
}

const shared = new Map<string, string>()
const MOST_SHARED = 10_000

/** As `ownText`, and the same string for equal text: for names that come again and again, such as those of nodes. */
export function sharedText(text: string): string {
  const known = shared.get(text)
  if (known !== undefined) return known
  if (shared.size >= MOST_SHARED) shared.clear()
  const own = ownText(text)
  shared.set(own, own)
  return own
}
