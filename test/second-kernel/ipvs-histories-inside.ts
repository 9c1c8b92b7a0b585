// What ipvs-histories.test.ts runs in the second kernel: ipvs-histories-inside.ts FIRST-SEED HISTORIES STEPS
import { hold } from './held.ts'
import { runHistory } from './ipvs-history.ts'

const [first = 1, histories = 1, steps = 10] = process.argv.slice(2).map(Number)
for (let seed = first; seed < first + histories; seed += 1) {
  const family = seed % 3 === 0 ? 'ipv6' : 'ipv4'
  await hold(`history ${seed}`, undefined, () => runHistory({ seed, family, steps }))
}
