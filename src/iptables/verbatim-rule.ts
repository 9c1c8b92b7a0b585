// A rule as the text that the kernel showed, for rules that need not be understood: they print as what they were.
import type { Rule } from './rule.ts'

/** `text` is a rule without `-A CHAIN`. */
export function verbatimRule(text: string): Rule {
  return { matches: text === '' ? [] : [{ kind: 'unknown', words: [text] }] }
}
