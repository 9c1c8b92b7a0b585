// What ipvs.test.ts runs in the second kernel: the traffic laboratory in IPVS mode, and the rows of some groups in one
// family: ipvs-inside.ts FAMILY GROUP... [/PATTERN/]
import type { Family } from '../../src/model/address.ts'
import { createLaboratory } from '../traffic/laboratory.ts'
import { createBench, startServers } from '../traffic/row.ts'
import { takeComparisons } from '../traffic/simulated.ts'
import { hold } from './held.ts'
import { GROUPS, rowName, rowsOf } from './ipvs-groups.ts'

const [given, ...words] = process.argv.slice(2)
const family: Family = given === 'ipv6' ? 'ipv6' : 'ipv4'
const pattern = words.find((word) => word.startsWith('/'))?.slice(1, -1)

await using lab = await createLaboratory({ variant: 'legacy', forgetsFlows: false, mode: 'ipvs' })
await startServers(lab)
for (const group of GROUPS.filter((each) => words.includes(each))) {
  for (const row of rowsOf(group, family)) {
    if (pattern !== undefined && !new RegExp(pattern).test(rowName(row))) continue
    const work = () => row.hold(createBench(lab, family))
    await hold(rowName(row), family, work, () => ({ comparisons: takeComparisons() }))
  }
}
