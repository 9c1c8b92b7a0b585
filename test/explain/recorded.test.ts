// All that is found on the recorded cases, reviewed once and kept: a finding that appears or goes is a change to judge.
// `SLUICE_WRITE_FINDINGS=1` writes the list anew; review it then as a diff.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { assembleCluster } from '../../src/explain/assemble.ts'
import { explainService } from '../../src/explain/explain.ts'
import type { Finding } from '../../src/explain/finding.ts'
import { parseDocuments, parseIp } from '../../src/index.ts'
import { GOLDEN_ROOT, readCase } from '../support/golden-case.ts'

const LIST = path.join(import.meta.dirname, 'recorded-findings.txt')

interface ExplainedService {
  readonly key: string
  readonly findings: readonly Finding[]
  /** kube-proxy's own rules refuse or drop some of its traffic. */
  readonly refuses: boolean
  /** They have nothing for an address or a node port that it lists. */
  readonly lacks: boolean
}

function explainCase(name: string): readonly ExplainedService[] {
  const { folder, config, node } = readCase(`recorded/${name}`)
  const read = (file: string) => readFileSync(path.join(folder, file), 'utf8')
  const { objects } = parseDocuments(read('cluster.yaml'), 'cluster.yaml')
  const { cluster } = assembleCluster(objects, { complete: false, knowsPods: false })
  const rules = `${read('iptables/iptables-save')}\n${read('iptables/ip6tables-save')}`
  return cluster.services.map((service) => ({
    key: service.key,
    findings: explainService(service, cluster, { config, node }).findings,
    refuses: new RegExp(`--comment "${service.key}(?::[^ "]*)? has no (?:local )?endpoints"`).test(rules),
    lacks:
      service.externalIPs.some((ip) => !rules.includes(`-d ${parseIp(ip) ?? ip}/`)) ||
      (service.ports.some(({ nodePort }) => nodePort !== undefined) && lacksNodePorts(rules)),
  }))
}

/** Node ports of one family are asked for at no address. */
function lacksNodePorts(rules: string): boolean {
  return rules
    .split('\n*nat\n')
    .slice(1)
    .some((nat) => !/^-A KUBE-SERVICES .*-j KUBE-NODEPORTS$/m.test(nat))
}

/** Those of IPVS mode alone are looked at in ipvs.test.ts. */
const cases = readdirSync(path.join(GOLDEN_ROOT, 'recorded'))
  .filter((name) => existsSync(path.join(GOLDEN_ROOT, 'recorded', name, 'iptables')))
  .toSorted()
const explained = new Map(cases.map((name) => [name, explainCase(name)]))

function listFindings(): string {
  const lines = [...explained].flatMap(([name, services]) =>
    services.flatMap(({ key, findings }) =>
      findings.map(({ severity, check, at }) => `${name} ${key}: ${severity} ${check} ${at.field ?? '-'}`),
    ),
  )
  return `${lines.join('\n')}\n`
}

describe('the recorded cases', () => {
  test('there are findings to review, on many Services', () => {
    expect([...explained.values()].flat().length).toBeGreaterThan(700)
  })

  test('what is found is what was reviewed', () => {
    if (process.env['SLUICE_WRITE_FINDINGS'] === '1') writeFileSync(LIST, listFindings())
    expect(listFindings()).toBe(readFileSync(LIST, 'utf8'))
  })

  test.each(cases)('%s: no error is found on a Service whose recorded rules serve every client', (name) => {
    const wrong = (explained.get(name) ?? []).filter(
      ({ findings, refuses, lacks }) => !refuses && !lacks && findings.some(({ severity }) => severity === 'error'),
    )
    expect(wrong.map(({ key, findings }) => [key, findings.map(({ means }) => means)])).toEqual([])
  })

  test.each(cases)(
    '%s: an error or warning is found on every Service whose recorded rules refuse connections',
    (name) => {
      const missed = (explained.get(name) ?? []).filter(
        ({ findings, refuses }) =>
          refuses &&
          !findings.some(({ severity, check }) => severity !== 'notice' || check === 'external-local-none-here'),
      )
      expect(missed.map(({ key }) => key)).toEqual([])
    },
  )
})
