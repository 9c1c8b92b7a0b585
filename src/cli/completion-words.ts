// What of the command line can be completed.

export interface CompletedCommand {
  readonly name: string
  readonly about: string
  readonly options: readonly CompletedOption[]
  /** What its words are. */
  readonly words: Value
}

export interface CompletedOption {
  /** `-o`, `--output` */
  readonly flags: readonly string[]
  readonly about: string
  /** Absent when it takes none, or one only behind a `=`. */
  readonly value?: Value
}

/** `any`: nobody knows what. */
export type Value = 'file' | 'any' | readonly string[]

/** A word of a shell, between single quotes. */
export function quote(text: string, escaped = `'\\''`): string {
  return `'${text.replaceAll("'", escaped)}'`
}
