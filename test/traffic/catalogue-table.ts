// docs/traffic.md as text.
import { IPVS_DIFFERENCES, IPVS_REMARKS } from '../second-kernel/ipvs-differences.ts'
import { CASES, type Case, holdingsOf } from './catalogue.ts'

const HEAD = `# Traffic

Kubernetes' end-to-end assertions about Services, held here by real packets through a real kernel: 3 nodes, 6 pods and a
client outside, each in a network namespace. \`scripts/test\` runs all of it, \`scripts/test-long\` with iptables-legacy too.
A row fails the test when it does not hold, so what is named here holds. Numbers are lines of
\`test/e2e/network/service.go\` in Kubernetes 1.36.2.

- **render**: by rules that \`sluice render\` prints (\`test/traffic/services.test.ts\`)
- **run**: while \`sluice run\` keeps the nodes (\`test/traffic/running.test.ts\`)

This file is written by \`vitest run --project pure test/traffic-table.test.ts -u\`.

| row | assertion | IPv4 | IPv6 | held by |
| --- | --------- | ---- | ---- | ------- |
`

const IPVS_HEAD = `
## IPVS mode

The rows of **render**, and those of **run** about steady traffic and UDP flows, are held in IPVS mode too, in a second
kernel (\`test/second-kernel/ipvs.test.ts\`, \`ipvs-agent.test.ts\`). They hold as above, except for this, which kube-proxy's
IPVS mode has in common:

`

export function trafficTable(): string {
  const differences = IPVS_DIFFERENCES.map(
    ({ rows, instead, why }) => `- ${rows.join('; ')}: ${instead}. Because ${why}.\n`,
  )
  const remarks = IPVS_REMARKS.map((remark) => `- ${remark}\n`)
  const table = CASES.map((each) => `${lineOf(each)}\n`)
  return [HEAD, ...table, IPVS_HEAD, ...differences, ...remarks].join('')
}

function lineOf(each: Case): string {
  const holdings = holdingsOf(each)
  const inFamily = (family: string) => {
    if (holdings.length === 0) return '-'
    return holdings.some(({ row }) => row.family === undefined || row.family === family) ? 'held' : 'no'
  }
  const by = [...new Set(holdings.map(({ by: way }) => `**${way}**`))].join(', ')
  const partly = holdings
    .map(({ row }) => row.without)
    .filter((text) => text !== undefined && !text.includes('live-rows'))
  const remarks = [...new Set(partly)].map((text) => `without ${text}`)
  const held = [by, each.instead ?? '', ...remarks].filter((text) => text !== '').join('; ')
  return `| ${each.source} | ${each.name} | ${inFamily('ipv4')} | ${inFamily('ipv6')} | ${held} |`
}
