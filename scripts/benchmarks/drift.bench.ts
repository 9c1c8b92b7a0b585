// How soon `sluice run` repairs what somebody else did to its rules: a flush, a chain, a jump; in a network namespace,
// from the end of the command that did it to the log line that all is as it was. Needs root.
import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type IptablesVariant, toolsOf } from '../../src/sync/variant.ts'
import { startApiDouble } from '../laboratory/api-double-client.ts'
import { monotonicMs } from '../laboratory/clock.ts'
import { startNodeAgent } from '../laboratory/node-agent.ts'
import { clearTables, readTable } from '../laboratory/restore.ts'
import { median, printTable, writeResults } from './measure.ts'

interface Figures {
  readonly services: number
  readonly variant: IptablesVariant
  /** From the damage to the repair, in ms, by kind of damage. */
  readonly repaired: Readonly<Record<string, readonly number[]>>
  /** Of it, what the sync took. */
  readonly sync: Readonly<Record<string, readonly number[]>>
}

/** The probe's interval is a second; so that damage comes at any moment of it. */
const PAUSES_MS = [1_500, 1_750, 2_000, 2_250, 2_500]

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '2,2000' },
    variants: { type: 'string', default: 'nft,legacy' },
    repeats: { type: 'string', default: '5' },
    flags: { type: 'string', default: '' },
    round: { type: 'boolean', default: false },
  },
})

if (values.round) {
  const variant = values.variants === 'legacy' ? 'legacy' : 'nft'
  console.log(JSON.stringify(await runRound(Number(values.sizes), variant, Number(values.repeats))))
} else runAll()

function runAll(): void {
  const rounds = values.variants
    .split(',')
    .flatMap((variant) => values.sizes.split(',').map((services) => inNamespace(services, variant)))
  printTable(
    'from the damage to the repair, ms',
    rounds.flatMap(({ services, variant, repaired, sync }) =>
      Object.entries(repaired).map(([damage, times]) => ({
        services,
        variant,
        damage,
        median: median(times),
        most: Math.max(...times),
        'of it the sync': median(sync[damage] ?? []),
      })),
    ),
  )
  writeResults('drift', rounds)
}

/** In a process and a network namespace of its own. */
function inNamespace(services: string, variant: string): Figures {
  const round = ['--round', '--sizes', services, '--variants', variant, '--repeats', values.repeats]
  const argv = ['-n', process.execPath, process.argv[1] ?? '', ...round, `--flags=${values.flags}`]
  const text = execFileSync('unshare', argv, { encoding: 'utf8', maxBuffer: 1e8, stdio: ['ignore', 'pipe', 'inherit'] })
  return JSON.parse(text) as Figures
}

async function runRound(services: number, variant: IptablesVariant, repeats: number): Promise<Figures> {
  const lock = `/tmp/sluice-bench-xtables-${process.pid}.lock`
  process.env['XTABLES_LOCKFILE'] = lock
  spawnSync('ip', ['link', 'set', 'lo', 'up'])
  const api = startApiDouble()
  try {
    const { url } = await api.fill(services)
    clearTables(variant)
    const agent = startNodeAgent({ server: url, variant, flags: values.flags.split(' ').filter((word) => word !== '') })
    await agent.waitFor(({ fields }) => fields['msg'] === 'synced rules' && fields['family'] === 'IPv4')
    const service = /-j (KUBE-SVC-\S+)/.exec(readTable(variant, 'nat').join('\n'))?.[1] ?? ''
    const repaired: Record<string, number[]> = {}
    const sync: Record<string, number[]> = {}
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      for (const [name, payload] of Object.entries(damagesTo(service, variant))) {
        await sleep(PAUSES_MS[repeat % PAUSES_MS.length] ?? 0)
        const known = agent.lines.length
        restore(variant, payload)
        const damaged = monotonicMs()
        const line = await agent.waitFor(({ fields }) => String(fields['reason']).includes('drift'), known)
        ;(repaired[name] ??= []).push(line.at - damaged)
        ;(sync[name] ??= []).push(Number(line.fields['ms']))
      }
    }
    await agent.stop()
    return { services, variant, repaired, sync }
  } finally {
    await api.close()
    rmSync(lock, { force: true })
  }
}

/** As payloads of one transaction. */
function damagesTo(service: string, variant: IptablesVariant): Readonly<Record<string, string>> {
  const rules = readTable(variant, 'nat')
  const deletions = rules.filter((line) => line.endsWith(`-j ${service}`)).map((line) => line.replace('-A', '-D'))
  const jump = rules.find((line) => /^-A PREROUTING .*-j KUBE-SERVICES$/.test(line)) ?? ''
  const nat = (...lines: readonly string[]) => ['*nat', ...lines, 'COMMIT', ''].join('\n')
  return {
    'KUBE-SERVICES flushed': nat('-F KUBE-SERVICES'),
    'a chain deleted': nat(...deletions, `-F ${service}`, `-X ${service}`),
    'a jump removed': nat(jump.replace('-A', '-D')),
    'nat flushed': nat('-F'),
  }
}

function restore(variant: IptablesVariant, input: string): void {
  const { status, stderr } = spawnSync(toolsOf(variant, 'ipv4').restore, ['-w', '60', '--noflush'], { input })
  if (status !== 0) throw new Error(`the damage could not be done: ${String(stderr)}`)
}
