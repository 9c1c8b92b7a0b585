// Proof on a real kernel: what `sluice render` writes for every golden case is loaded into an empty network namespace
// with the real iptables-restore, in both variants and families, and what the kernel then holds must be the recorded
// rules, byte for byte. IPVS mode follows in the second kernel (kernel-roundtrip-ipvs.ts). Arguments limit the run to
// cases whose folder contains one of them.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, release, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createTwoFilesPatch } from 'diff'
import { CommandError, runCommand } from '../src/host/exec.ts'
import { parseSave } from '../src/iptables/parse.ts'
import { canonicalise, printSave } from '../src/iptables/print.ts'
import { FAMILIES, type Family } from '../src/model/address.ts'
import { SECOND_KERNEL_PROBE, tripIpvs } from './kernel-roundtrip-ipvs.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const GOLDENS = path.join(ROOT, 'rules-golden')
const TOOL: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' }
const VARIANTS = ['nft', 'legacy'] as const
type Variant = (typeof VARIANTS)[number]
const TIMEOUT_MS = 60_000
const NO_NAMESPACE = 'no network namespace can be made here: run as root, or allow user namespaces'
const SHOWN_DIFF_LINES = 40
const COUNTERS = ['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts']

// $1 variant, $2 folder with the payloads, $3 names of the counters. The lock is our own: the host's is not ours
// to take. Table by table, because only root may ask which tables of iptables-legacy there are.
const LOAD_AND_SAVE = `
export XTABLES_LOCKFILE="$2/lock-$1"
for counter in $3; do nfacct add "$counter"; done
for tool in iptables ip6tables; do
  "$tool-$1-restore" --noflush --counters <"$2/$tool-restore" || { echo "by $tool-$1-restore" >&2; exit 1; }
  for table in filter mangle nat; do "$tool-$1-save" -t $table; done >"$2/$tool-$1-saved"
done`

/** What this machine lets us do. */
interface Kernel {
  /** How a command gets an empty network namespace. */
  readonly namespace: readonly [string, ...string[]]
  readonly counters: boolean
  readonly variants: readonly Variant[]
  /** One sentence for each thing that can't be done here. */
  readonly missing: readonly string[]
}

interface Tally {
  passed: number
  readonly failures: string[]
  /** One sentence for each thing that can't be tried here, through no fault of the rules. */
  readonly untested: string[]
}

await main(process.argv.slice(2))

async function main(words: readonly string[]): Promise<void> {
  const started = performance.now()
  const scratch = await mkdtemp(path.join(tmpdir(), 'sluice-roundtrip-'))
  try {
    const kernel = await probeKernel(scratch)
    const isWanted = (folder: string) => words.length === 0 || words.some((word) => folder.includes(word))
    const cases = (await listCases()).filter(isWanted)
    const tally: Tally = { passed: 0, failures: [], untested: [...(kernel?.missing ?? [NO_NAMESPACE])] }
    if (kernel !== undefined) await runAll(cases, scratch, kernel, tally)
    const ipvsCases = await runIpvs(isWanted, tally)
    if (cases.length + ipvsCases === 0) tally.failures.push(`no case found under ${GOLDENS}`)
    for (const failure of tally.failures) console.error(`${failure}\n`)
    for (const sentence of tally.untested) console.log(`NOT TESTED: ${sentence}`)
    const where = `kernel ${release()}, iptables-${kernel?.variants.join(' and iptables-') ?? 'none'}`
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(
      `kernel round trip of ${cases.length} cases of iptables mode and ${ipvsCases} of IPVS mode: ${tally.passed} passed, ${tally.failures.length} failed (${where}, ${seconds} s)`,
    )
    const incomplete = tally.untested.length > 0 && process.env['CI'] === 'true'
    process.exitCode = tally.failures.length > 0 || incomplete ? 1 : 0
  } finally {
    await rm(scratch, { recursive: true })
  }
}

/** Undefined when there can be no namespace. */
async function probeKernel(scratch: string): Promise<Kernel | undefined> {
  const ways: readonly (readonly [string, ...string[]])[] = [
    ['unshare', '--net'],
    ['unshare', '--net', '--map-root-user'],
  ]
  const worked = await Promise.all(ways.map((way) => problemOf([...way, 'true'])))
  const namespace = ways.find((_, index) => worked[index] === undefined)
  if (namespace === undefined) return undefined
  const missing: string[] = []
  const counters = await problemOf([...namespace, 'nfacct', 'add', 'probe'])
  if (counters !== undefined) missing.push(`rules with nfacct counters: ${counters}`)
  await Promise.all(
    FAMILIES.map((family) =>
      writeFile(path.join(scratch, `${TOOL[family]}-restore`), '*nat\n:PROBE - [0:0]\nCOMMIT\n'),
    ),
  )
  const variants: Variant[] = []
  for (const variant of VARIANTS) {
    const problem = await problemOf(loadCommand(namespace, variant, scratch, ''))
    if (problem === undefined) variants.push(variant)
    else missing.push(`iptables-${variant}: ${problem}`)
  }
  return { namespace, counters: counters === undefined, variants, missing }
}

async function problemOf(argv: readonly [string, ...string[]]): Promise<string | undefined> {
  try {
    await runCommand(argv, { timeoutMs: TIMEOUT_MS })
    return undefined
  } catch (error) {
    if (error instanceof CommandError) return error.stderr.trim().replaceAll('\n', '; ') || error.message
    throw error
  }
}

/** Every folder of a case that has rules of iptables mode. */
async function listCases(): Promise<readonly string[]> {
  const files = await readdir(GOLDENS, { recursive: true })
  const saves = files.filter(
    (file) => path.basename(file) === 'iptables-save' && path.dirname(file).endsWith('/iptables'),
  )
  return saves.map((file) => path.join(GOLDENS, path.dirname(path.dirname(file)))).toSorted()
}

async function runAll(cases: readonly string[], scratch: string, kernel: Kernel, tally: Tally): Promise<void> {
  const waiting = cases.values()
  const work = async (): Promise<void> => {
    for (const folder of waiting) {
      const out = await mkdtemp(path.join(scratch, 'case-'))
      const name = path.relative(GOLDENS, folder)
      try {
        await renderCase(folder, out, kernel)
        for (const variant of kernel.variants) await tryVariant({ folder, name, out, variant }, kernel, tally)
      } catch (error) {
        tally.failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
      }
      await rm(out, { recursive: true })
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
}

/** Writes `iptables-restore` and `ip6tables-restore` into `out`, with the command that people use. */
async function renderCase(folder: string, out: string, kernel: Kernel): Promise<void> {
  const host = path.join(folder, 'host.json')
  const { nodeName } = JSON.parse(await readFile(host, 'utf8')) as { nodeName: string }
  const input = ['-f', path.join(folder, 'cluster.yaml'), '--config', path.join(folder, 'iptables', 'config.yaml')]
  const node = ['--host', host, '--node', nodeName, ...(kernel.counters ? [] : ['--features', 'nfacct=false'])]
  const command = path.join(ROOT, 'scripts', 'sluice.mjs')
  await promisify(execFile)(process.execPath, [command, 'render', ...input, ...node, '--out', out, '--keep-going'])
}

/** How many cases there were. */
async function runIpvs(isWanted: (folder: string) => boolean, tally: Tally): Promise<number> {
  const lacking = await problemOf(SECOND_KERNEL_PROBE)
  if (lacking !== undefined) {
    tally.untested.push(`IPVS mode in the second kernel: ${lacking}`)
    return 0
  }
  const { cases, passed, failures } = await tripIpvs(GOLDENS, isWanted)
  tally.passed += passed
  for (const { name, expected, actual } of failures)
    tally.failures.push(`ipvs ${name}:\n${shownDiff(expected, actual)}`)
  return cases
}

interface Attempt {
  readonly folder: string
  readonly name: string
  readonly out: string
  readonly variant: Variant
}

async function tryVariant(attempt: Attempt, kernel: Kernel, tally: Tally): Promise<void> {
  const { folder, name, out, variant } = attempt
  const problem = await problemOf(
    loadCommand(kernel.namespace, variant, out, kernel.counters ? COUNTERS.join(' ') : ''),
  )
  if (problem?.includes('Message too long') === true && process.getuid?.() !== 0) {
    tally.untested.push(`${name} with ${variant}: ordinary users may not send so much at once; run as root`)
    return
  }
  if (problem !== undefined) {
    tally.failures.push(`${name}, ${variant}: the payload was refused: ${problem}`)
    return
  }
  for (const family of FAMILIES) {
    const saved = await readFile(path.join(out, `${TOOL[family]}-${variant}-saved`), 'utf8')
    const recorded = await readFile(path.join(folder, 'iptables', `${TOOL[family]}-save`), 'utf8')
    const expected = kernel.counters ? recorded : withoutCounters(recorded)
    const actual = printSave(canonicalise(parseSave(saved, family).ruleset))
    if (actual === expected) tally.passed += 1
    else
      tally.failures.push(
        `${name}, ${variant}, ${family}: the kernel holds other rules:\n${shownDiff(expected, actual)}`,
      )
  }
}

function loadCommand(
  namespace: readonly [string, ...string[]],
  variant: Variant,
  folder: string,
  counters: string,
): readonly [string, ...string[]] {
  return [...namespace, 'sh', '-e', '-c', LOAD_AND_SAVE, 'sh', variant, folder, counters]
}

/** The recorded rules as they would be on a kernel without nfacct. */
function withoutCounters(recorded: string): string {
  const lines = recorded.split('\n').filter((line) => !line.includes('localhost_nps_accepted_pkts'))
  return lines.join('\n').replaceAll(/ -m nfacct --nfacct-name {2}\S+/g, '')
}

function shownDiff(expected: string, actual: string): string {
  const lines = createTwoFilesPatch('recorded', 'kernel', expected, actual, '', '', { context: 1 }).split('\n')
  return lines.slice(0, SHOWN_DIFF_LINES).join('\n')
}
