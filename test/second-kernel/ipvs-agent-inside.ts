// What ipvs-agent.test.ts runs in the second kernel: `sluice run` in IPVS mode on each node of the traffic laboratory, and
// the rows that need it: ipvs-agent-inside.ts FAMILY PROGRAM [PATTERN]
import type { Family } from '../../src/model/address.ts'
import { createLaboratory } from '../traffic/laboratory.ts'
import { startAgents } from '../traffic/live-bench.ts'
import { startServers } from '../traffic/row.ts'
import { hold } from './held.ts'
import { agentRowName, agentRowsOf } from './ipvs-agent-rows.ts'

const [given, program = '', pattern = ''] = process.argv.slice(2)
const family: Family = given === 'ipv6' ? 'ipv6' : 'ipv4'

await using lab = await createLaboratory({ variant: 'legacy', mode: 'ipvs' })
await startServers(lab)
await using cluster = await startAgents(lab, 'legacy', program)
for (const row of agentRowsOf(family)) {
  if (!new RegExp(pattern).test(agentRowName(row))) continue
  await hold(agentRowName(row), family, async () => {
    await cluster.reset()
    await row.hold(cluster.bench(family))
  })
}
