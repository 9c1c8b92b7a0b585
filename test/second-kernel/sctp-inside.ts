// What sctp.test.ts runs in the second kernel, with the script of sluice as its argument: builds the traffic laboratory
// there, holds the rows, and writes one line of JSON for each.
import { FAMILIES, type Family } from '../../src/model/address.ts'
import { createLaboratory, type Laboratory } from '../traffic/laboratory.ts'
import { createBench, startServers } from '../traffic/row.ts'
import { isSctpLoaded, nodeAgentRow, RULES_ALONE, type SctpRow, TRAFFIC_ROWS } from './sctp-rows.ts'

export interface RowResult {
  readonly row: string
  readonly family: Family
  readonly milliseconds: number
  /** Absent when the row holds. */
  readonly failure?: string
}

async function startSctpServers({ pods }: Laboratory): Promise<void> {
  await Promise.all(pods.map((pod) => pod.listen(8080, 'sctp')))
  if (!isSctpLoaded()) throw new Error('sockets of SCTP did not load sctp.ko: whether rules do can not be seen')
}

/** By default SCTP asks again after three seconds, which is also how long it may take to hear of a refusal. */
async function askAgainSoon({ pods, nodes, outside }: Laboratory): Promise<void> {
  const settings = 'cd /proc/sys/net/sctp; echo 100 > rto_min; echo 300 > rto_initial'
  await Promise.all([...pods, ...nodes, outside].map((place) => place.exec(['sh', '-ec', settings])))
}

async function hold(row: SctpRow, lab: Laboratory): Promise<void> {
  for (const family of FAMILIES.filter((each) => row.family === undefined || row.family === each)) {
    const started = performance.now()
    let failure: string | undefined
    try {
      await row.hold(createBench(lab, family))
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
    }
    const milliseconds = Math.round(performance.now() - started)
    const result: RowResult = { row: row.name, family, milliseconds, ...(failure !== undefined && { failure }) }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
}

async function main([sluice]: readonly string[]): Promise<void> {
  if (sluice === undefined) throw new Error('the first argument is the script of sluice')
  await using lab = await createLaboratory({ variant: 'legacy', forgetsFlows: false })
  await hold(RULES_ALONE, lab)
  await startServers(lab)
  await startSctpServers(lab)
  await askAgainSoon(lab)
  for (const row of [...TRAFFIC_ROWS, nodeAgentRow(sluice)]) await hold(row, lab)
}

await main(process.argv.slice(2))
