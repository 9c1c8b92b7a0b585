// The options of a match or target, as words behind its name, and their values.
import { unquote } from './words.ts'

export interface Option {
  readonly flag: string
  readonly not: boolean
  readonly values: readonly string[]
}

/** Options with the texts behind them; undefined when the words do not begin with an option. */
export function readOptions(words: readonly string[]): readonly Option[] | undefined {
  const options: Option[] = []
  let values: string[] | undefined
  let not = false
  for (const word of words) {
    if (word === '!') not = true
    else if (word.startsWith('-')) {
      values = []
      options.push({ flag: word, not, values })
      not = false
    } else if (values === undefined || not) return undefined
    else values.push(unquote(word))
  }
  return options
}

export function onlyValue(option: Option): string | undefined {
  return option.values.length === 1 ? option.values[0] : undefined
}

export function isFlag(option: Option, flag: string): boolean {
  return option.flag === flag && option.values.length === 0 && !option.not
}

/** The largest number that the kernel's fields hold. */
export const WHOLE_MARK = 0xffffffff

/** Decimal, hexadecimal or octal, as C's strtoul reads it, of 32 bits. */
export function parseUnsigned(text: string): number | undefined {
  if (!/^(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.test(text)) return undefined
  const number = /^0\d/.test(text) ? Number.parseInt(text, 8) : Number(text)
  return number <= WHOLE_MARK ? number : undefined
}
