// The words of iptables lines: how iptables-save quotes them and how iptables-restore reads them back.
// A word is kept as it stands in the line, quotes included; `quote` and `unquote` go between that and its text.
// Rules: libxtables 1.8.9, `xtables_save_string` and `add_param_to_argv`; test/kernel/rule-fixpoint.test.ts holds them.

const PLAIN = 0
const QUOTED = 1
const ESCAPED = 2
const CONTROL = 3

const BLANK = 0x20
const DOUBLE_QUOTE = 0x22
const BACKSLASH = 0x5c

/** What a character asks for, by its code below 256; all others ask for quotes. */
const CHARACTER_CLASS = new Uint8Array(256).map((_, code) => {
  if (code < BLANK || (code >= 0x7f && code < 0xa0)) return CONTROL
  const character = String.fromCharCode(code)
  if (`"\\'`.includes(character)) return ESCAPED
  return /^[A-Za-z0-9_-]$/.test(character) ? PLAIN : QUOTED
})

/**
 * Text as iptables-save prints it: bare when it has only letters, digits, `_` and `-`, otherwise in double quotes with
 * `"`, `'` and `\` escaped. Throws on control characters, which could end the line; decoding never lets them in.
 */
export function quote(text: string): string {
  let plain = text !== ''
  let escape = false
  for (let at = 0; at < text.length; at += 1) {
    const characterClass = CHARACTER_CLASS[text.charCodeAt(at)] ?? QUOTED
    if (characterClass === PLAIN) continue
    if (characterClass === CONTROL) throw controlCharacter(text)
    plain = false
    if (characterClass === ESCAPED) escape = true
  }
  if (plain) return text
  return escape ? `"${text.replaceAll(/["'\\]/g, String.raw`\$&`)}"` : `"${text}"`
}

/** The text of a word: quotes and escapes removed. A word without quotes is its own text, backslashes included. */
export function unquote(word: string): string {
  const open = word.indexOf('"')
  if (open < 0) return word
  const inside = word.slice(open + 1, word.endsWith('"') ? -1 : undefined)
  return word.slice(0, open) + (inside.includes('\\') ? inside.replaceAll(/\\(.)/g, '$1') : inside)
}

/**
 * Splits a line as iptables-restore does; words keep their quotes. A closing quote ends a word, and a backslash
 * escapes only inside quotes. Undefined when a quote is not closed.
 */
export function splitWords(line: string): readonly string[] | undefined {
  const words: string[] = []
  let at = 0
  while (at < line.length) {
    if (isBlank(line.charCodeAt(at))) {
      at += 1
      continue
    }
    const end = endOfWord(line, at)
    if (end === undefined) return undefined
    words.push(line.slice(at, end))
    at = end
  }
  return words
}

/** Whether a quote is not closed, so that `splitWords` has no words for the line. */
export function hasOpenQuote(line: string): boolean {
  for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at)) {
    const end = endOfQuotes(line, at + 1)
    if (end === undefined) return true
    at = end
  }
  return false
}

/** Whether text can stand in a line bare, where iptables prints it without quotes: interfaces, chains, set names. */
export function isBareWord(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === BLANK || code === DOUBLE_QUOTE || CHARACTER_CLASS[code] === CONTROL) return false
  }
  return text !== ''
}

/** The same text; throws when it cannot stand in a line bare. */
export function bareWord(text: string): string {
  if (isBareWord(text)) return text
  throw new Error(`${JSON.stringify(text)} cannot be a word of an iptables rule: it is empty or has blanks or quotes`)
}

/** The same text, which is part of a line as it stands; throws when it has control characters other than tabs. */
export function partOfLine(text: string): string {
  if (hasControlCharacter(text)) throw controlCharacter(text)
  return text
}

/** Whether there is a control character other than a tab, which nothing that is one line may have. */
export function hasControlCharacter(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (CHARACTER_CLASS[code] === CONTROL && code !== 0x09) return true
  }
  return false
}

function endOfWord(line: string, start: number): number | undefined {
  let at = start
  for (; at < line.length; at += 1) {
    const code = line.charCodeAt(at)
    if (isBlank(code)) return at
    if (code === DOUBLE_QUOTE) return endOfQuotes(line, at + 1)
  }
  return at
}

function endOfQuotes(line: string, start: number): number | undefined {
  for (let at = start; at < line.length; at += 1) {
    const code = line.charCodeAt(at)
    if (code === BACKSLASH) at += 1
    else if (code === DOUBLE_QUOTE) return at + 1
  }
  return undefined
}

function isBlank(code: number): boolean {
  return code === BLANK || code === 0x09
}

function controlCharacter(text: string): Error {
  return new Error(`${JSON.stringify(text)} cannot be part of an iptables rule: it has a control character`)
}
