// Texts about one port of a Service with its names, addresses and chains taken out, so that Services of the same form
// have the same texts: `{3} of shop/web` is `{3} of {1}`. `{3>}` is what stands behind a chain's last dash, as lines are
// broken there. A brace of the text itself is doubled.

/** Words that can be an address, a name or a chain. */
const WORD = /[\w./:[\]-]+|\{/g
/** Of chains such as KUBE-SVC-67NZLRHBNDSAWJRO. */
const HASH = /^KUBE-[A-Z]+-([A-Z0-9]{16})$/
const AFTER_WORD = /[.:]+$/

export interface Names {
  /** In the order of their numbers. */
  readonly list: readonly string[]
  readonly numbers: ReadonlyMap<string, string>
}

export function collectNames(texts: readonly string[]): Names {
  const list = [...new Set(texts)].filter((text) => text !== '')
  const numbers = new Map(list.map((text, number) => [text, String(number)]))
  for (const [number, text] of list.entries()) {
    const hash = HASH.exec(text)?.[1]
    if (hash !== undefined && !numbers.has(hash)) numbers.set(hash, `${number}>`)
  }
  return { list, numbers }
}

export function takeOut(text: string, { numbers }: Names): string {
  return text.replace(WORD, (word) => {
    if (word === '{') return '{{'
    const number = numbers.get(word)
    if (number !== undefined) return `{${number}}`
    const [end = ''] = AFTER_WORD.exec(word) ?? []
    const inner = end === '' ? undefined : numbers.get(word.slice(0, -end.length))
    return inner === undefined ? word : `{${inner}}${end}`
  })
}

/** The text again; src/picture/page/page.js does the same. */
export function putIn(text: string, list: readonly string[]): string {
  return text.replace(/\{(\{|\d+>?\})/g, (_, inner: string) => {
    if (inner === '{') return '{'
    const name = list[Number.parseInt(inner, 10)] ?? ''
    return inner.endsWith('>}') ? name.slice(name.lastIndexOf('-') + 1) : name
  })
}
