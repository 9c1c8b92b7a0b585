// Settings without effect that a configuration has, for the log: see flags-without-effect.ts.
import { FLAGS_WITHOUT_EFFECT } from './flags-without-effect.ts'
import { defaultProxyConfigDocument, type ProxyConfigDocument } from './proxy-config-schema.ts'
import { PROXY_FLAGS } from './proxy-flag-table.ts'

export interface SettingWithoutEffect {
  /** A field of the configuration: `clientConnection.qps`. */
  readonly setting: string
  readonly why: string
}

/** Those that differ from their defaults, whether a flag or the file set them. `flags`: the names of the given ones. */
export function findSettingsWithoutEffect(
  document: ProxyConfigDocument,
  flags: ReadonlySet<string>,
): readonly SettingWithoutEffect[] {
  const usual = defaultProxyConfigDocument()
  return PROXY_FLAGS.flatMap(({ name, fields }) => {
    const why = FLAGS_WITHOUT_EFFECT[name]
    if (why === undefined) return []
    if (fields.length === 0) return flags.has(name) ? [{ setting: `--${name}`, why }] : []
    return fields
      .filter((field) => {
        const value = shown(valueAt(document, field))
        return !NOTHING.has(value) && value !== shown(valueAt(usual, field))
      })
      .map((setting) => ({ setting, why }))
  })
}

/** Files that a program wrote name every field, with these values where nobody chose one. */
const NOTHING: ReadonlySet<string> = new Set(['""', '0', '"0"', 'false'])

function valueAt(document: ProxyConfigDocument, field: string): unknown {
  let value: unknown = document
  for (const key of field.split('.')) value = (value as Readonly<Record<string, unknown>>)[key]
  return value
}

/** Durations are bigints, which JSON does not have. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}` : part)) ?? ''
}
