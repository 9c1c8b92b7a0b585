// Reads a KubeProxyConfiguration file. As with kube-proxy, what only a strict reading refuses (unknown fields, duplicate
// keys) is reported and otherwise ignored; everything else that is wrong is fatal, and all of it is reported at once.
import * as v from 'valibot'
import type { ProxyConfig } from '../../model/config.ts'
import type { Issue, Place } from '../../model/issue.ts'
import { isMapping } from '../manifests/parsed-document.ts'
import { findUnknownGates } from './feature-gates.ts'
import { type EffectiveProxyConfig, selectEffectiveConfig, toProxyConfig } from './proxy-config-effective.ts'
import { type ConfigProblem, explainConfigProblem } from './proxy-config-problem.ts'
import { defaultProxyConfigDocument, type ProxyConfigDocument, proxyConfigSchema } from './proxy-config-schema.ts'
import { validateProxyConfig } from './proxy-config-validation.ts'
import { type FieldPath, formatFieldPath, readProxyConfigYaml } from './proxy-config-yaml.ts'

export interface DecodedProxyConfig {
  /** Undefined exactly when there is an issue of severity `error`. */
  readonly config: ProxyConfig | undefined
  /** What `config` was made of: for dumps in kube-proxy's form. There as soon as the text could be read. */
  readonly effective?: EffectiveProxyConfig
  readonly issues: readonly Issue[]
  /** The rules of validation that failed; their issues are among the others. For kube-proxy's own text of them. */
  readonly problems: readonly ConfigProblem[]
}

export interface DecodedDocument {
  readonly document: ProxyConfigDocument | undefined
  readonly issues: readonly Issue[]
  /** Where a field stands in the text. */
  readonly place: (field: string) => Place
}

const API_VERSION = 'kubeproxy.config.k8s.io/v1alpha1'
const KIND = 'KubeProxyConfiguration'

/** Reads the text of a configuration file, YAML or JSON; `source` names it in issues. */
export function decodeProxyConfig(text: string, source: string): DecodedProxyConfig {
  const { document, issues, place } = decodeProxyConfigDocument(text, source)
  return document === undefined
    ? { config: undefined, issues, problems: [] }
    : finishProxyConfig(selectEffectiveConfig(document), place, issues)
}

/** The configuration of a proxy that is given neither a file nor flags. */
export function defaultProxyConfig(): ProxyConfig {
  return toProxyConfig(selectEffectiveConfig(defaultProxyConfigDocument()))
}

/** Validates and converts; `place` turns a field of the document into where its author finds it. */
export function finishProxyConfig(
  effective: EffectiveProxyConfig,
  place: (field: string) => Place,
  earlier: readonly Issue[],
): DecodedProxyConfig {
  const { featureGates, hostnameOverride } = effective.document
  const problems = validateProxyConfig(effective)
  const explained = problems.map((problem): Issue => {
    return { severity: 'error', at: place(problem.field), message: explainConfigProblem(problem) }
  })
  // kube-proxy finds this one later, when it determines its node's name.
  const blankName: readonly Issue[] =
    hostnameOverride === '' || hostnameOverride.trim() !== ''
      ? []
      : [
          {
            severity: 'error',
            at: place('hostnameOverride'),
            message: 'holds only blanks: write the name of the Node, or leave it out',
          },
        ]
  const gates = findUnknownGates(featureGates).map((name): Issue => {
    const message = `${name} is not a feature gate that bears on rules, so it has no effect: remove it if it is misspelt`
    return { severity: 'notice', at: place(`featureGates.${name}`), message }
  })
  const issues = [...earlier, ...explained, ...blankName, ...gates]
  const failed = issues.some((issue) => issue.severity === 'error')
  return { config: failed ? undefined : toProxyConfig(effective), effective, issues, problems }
}

/** Reads types and defaults, without validation, so that flags can still be laid over the document. */
export function decodeProxyConfigDocument(text: string, source: string): DecodedDocument {
  const yaml = readProxyConfigYaml(text, source)
  const place = (field: string): Place => yaml.place(field.split(/[.[\]]+/).filter((step) => step !== ''))
  const failed = (issues: readonly Issue[]): DecodedDocument => ({
    document: undefined,
    issues: [...yaml.issues, ...issues],
    place,
  })
  if (yaml.value === undefined) return failed([])
  const wrongType = checkTypeMeta(yaml.value)
  if (wrongType !== undefined)
    return failed([{ severity: 'error', at: yaml.place(wrongType.path), message: wrongType.message }])
  const parsed = v.safeParse(proxyConfigSchema, yaml.value)
  if (!parsed.success) {
    return failed(
      parsed.issues.map((issue): Issue => {
        const path = (issue.path ?? []).map((item) => String(item.key))
        return { severity: 'error', at: yaml.place(path), message: issue.message }
      }),
    )
  }
  const surplus = findSurplus(yaml.value, parsed.output, []).map(({ path, severity, message }): Issue => {
    return { severity, at: yaml.place(path), message }
  })
  if (surplus.some(({ severity }) => severity === 'error')) return failed(surplus)
  return { document: parsed.output, issues: [...yaml.issues, ...surplus], place }
}

function checkTypeMeta(value: unknown): { readonly path: FieldPath; readonly message: string } | undefined {
  const expected = `write apiVersion: ${API_VERSION} and kind: ${KIND}`
  if (!isMapping(value)) return { path: [], message: `the file does not hold a mapping of fields: ${expected}` }
  const { apiVersion, kind } = value
  if (apiVersion === undefined || apiVersion === null || apiVersion === '') {
    return { path: ['apiVersion'], message: `apiVersion is missing: ${expected}` }
  }
  if (kind === undefined || kind === null || kind === '') {
    return { path: ['kind'], message: `kind is missing: ${expected}` }
  }
  if (apiVersion === API_VERSION && kind === KIND) return undefined
  const found = `found apiVersion ${JSON.stringify(apiVersion)}, kind ${JSON.stringify(kind)}`
  const hint = kind === 'ConfigMap' ? '; of a ConfigMap, pass the text of its key config.conf' : ''
  return { path: [apiVersion === API_VERSION ? 'kind' : 'apiVersion'], message: `${found}: ${expected}${hint}` }
}

interface Surplus {
  readonly path: FieldPath
  readonly severity: Issue['severity']
  readonly message: string
}

// The schema drops what it doesn't know, so the unknown fields are those that its output lacks. It also takes a list
// for a mapping without known fields, which is a wrong type.
function findSurplus(given: unknown, known: unknown, path: FieldPath): readonly Surplus[] {
  if (Array.isArray(given) && isMapping(known)) {
    return [{ path, severity: 'error', message: 'expected a mapping of fields, found a list: remove the "- "' }]
  }
  if (Array.isArray(given) && Array.isArray(known)) {
    return given.flatMap((item, index) => findSurplus(item, known[index], [...path, String(index)]))
  }
  if (!isMapping(given) || !isMapping(known)) return []
  return Object.keys(given).flatMap((key): readonly Surplus[] => {
    const at = [...path, key]
    if (Object.hasOwn(known, key)) return findSurplus(given[key], known[key], at)
    const message = `unknown field ${formatFieldPath(at)} is ignored, as kube-proxy does: correct its name or remove it`
    return [{ path: at, severity: 'notice', message }]
  })
}
