// The same proof for IPVS mode, in the second kernel: one boot for all cases, each in a network namespace of its own. What
// `sluice render` writes is loaded with the real tools, and what they then show must be what was recorded, byte for byte.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { render } from '../src/cli/render.ts'
import { runCommand } from '../src/host/exec.ts'
import { parseIpsetSave } from '../src/ipset/parse.ts'
import { printIpsetSave } from '../src/ipset/print.ts'
import { parseSave } from '../src/iptables/parse.ts'
import { canonicalise, printSave } from '../src/iptables/print.ts'
import { parseIpvsadmSave } from '../src/ipvs/parse.ts'
import { printIpvsadmSave } from '../src/ipvs/print.ts'

const KERNEL_RUN = fileURLToPath(new URL('second-kernel/kernel-run', import.meta.url))
const SECONDS = 600
/** Starting a process takes its time in that kernel: scripts/test-long tries every case, scripts/test one in so many. */
const SHORT_SHARE = 4
const isLong = process.env['SLUICE_LONG'] === '1'

/** Fails, and says why, where there is no second kernel or a tool is missing. */
export const SECOND_KERNEL_PROBE: readonly [string, ...string[]] = [
  KERNEL_RUN,
  '-t',
  '60',
  '--',
  'sh',
  '-e',
  '-c',
  'ipset --version; ipvsadm --version; iptables-legacy --version; ip6tables-legacy --version',
]

// $1: the folder of the cases, each with the payloads. The second kernel writes nothing into this machine's files, so
// everything goes to standard output, each text under a heading.
const LOAD_AND_SAVE = `
cd "$1"
for case in *; do
  echo "@@ $case started"
  unshare --net sh -e -c '
    cd "$1"
    export XTABLES_LOCKFILE=/run/roundtrip-lock
    ipset restore <ipset-restore
    iptables-legacy-restore --noflush --counters <iptables-restore
    ip6tables-legacy-restore --noflush --counters <ip6tables-restore
    ip -oneline -batch addresses >/run/addresses
    ipvsadm -R <ipvsadm-restore
    echo "@@ $1 iptables-save"; iptables-legacy-save
    echo "@@ $1 ip6tables-save"; ip6tables-legacy-save
    echo "@@ $1 ipset-save"; ipset save
    echo "@@ $1 ipvsadm-save"; ipvsadm -Sn
    echo "@@ $1 kube-ipvs0-addresses"; while read -r line; do echo "$line"; done </run/addresses
  ' sh "$case" || echo "@@ $case failed"
done 2>&1`

/** From what a tool shows to the canonical form, by file name. */
const CANONICAL: Readonly<Record<string, (text: string) => string>> = {
  'iptables-save': (text) => printSave(canonicalise(parseSave(text, 'ipv4').ruleset)),
  'ip6tables-save': (text) => printSave(canonicalise(parseSave(text, 'ipv6').ruleset)),
  'ipset-save': (text) => printIpsetSave(parseIpsetSave(text).sets.values()),
  'ipvsadm-save': (text) => printIpvsadmSave(parseIpvsadmSave(text).services),
  'kube-ipvs0-addresses': (text) =>
    [...text.matchAll(/ inet6? (\S+)/g)]
      .map(([, address]) => `${address}\n`)
      .toSorted()
      .join(''),
}

export interface IpvsTally {
  readonly cases: number
  readonly passed: number
  /** A heading each, and for a text that differs what was recorded and what the kernel holds. */
  readonly failures: readonly { readonly name: string; readonly expected: string; readonly actual: string }[]
}

/** The round trip of the recorded cases below `goldens` that `wanted` accepts. Rejects when the kernel can't be had. */
export async function tripIpvs(goldens: string, wanted: (folder: string) => boolean): Promise<IpvsTally> {
  const recorded = path.join(goldens, 'recorded')
  const all = (await readdir(recorded)).filter((name) => wanted(path.join(recorded, name))).toSorted()
  const names = isLong ? all : all.filter((name, index) => index % SHORT_SHARE === 0 || name.includes('ipvs'))
  const scratch = await mkdtemp(path.join(tmpdir(), 'sluice-roundtrip-ipvs-'))
  try {
    for (const name of names) await renderCase(path.join(recorded, name), path.join(scratch, name))
    const texts = await loadAll(scratch)
    const compared = await Promise.all(names.map((name) => compareCase(path.join(recorded, name), name, texts)))
    return {
      cases: names.length,
      passed: compared.reduce((sum, { passed }) => sum + passed, 0),
      failures: compared.flatMap(({ failures }) => failures),
    }
  } finally {
    await rm(scratch, { recursive: true })
  }
}

/** In this process, because starting one for each case takes longer than everything else. */
async function renderCase(folder: string, out: string): Promise<void> {
  const host = path.join(folder, 'ipvs', 'host.json')
  const { nodeName } = JSON.parse(await readFile(host, 'utf8')) as { nodeName: string }
  await mkdir(out)
  const said: string[] = []
  const stderr = { write: (text: string | Uint8Array) => said.push(String(text)) > 0 }
  const options = {
    filename: [path.join(folder, 'cluster.yaml')],
    config: path.join(folder, 'ipvs', 'config.yaml'),
    proxyFlags: new Map(),
    host,
    node: nodeName,
    output: 'save',
    out,
    keepGoing: true,
  } as const
  const code = await render(options, { stdin: process.stdin, stdout: process.stdout, stderr } as never)
  if (code !== 0) throw new Error(`${folder}: ${said.join('')}`)
  // In the same breath, because each process takes its time in that kernel.
  const addresses = await readFile(path.join(out, 'kube-ipvs0-addresses-restore'), 'utf8')
  await writeFile(path.join(out, 'addresses'), `${addresses}address show dev kube-ipvs0\n`)
}

/** What the tools showed, by `case file`. */
async function loadAll(scratch: string): Promise<ReadonlyMap<string, string>> {
  const argv = [KERNEL_RUN, '-m', '512', '-t', String(SECONDS), '--', 'sh', '-c', LOAD_AND_SAVE, 'sh', scratch] as const
  const { stdout } = await runCommand([...argv], { timeoutMs: (SECONDS + 30) * 1000 })
  const texts = new Map<string, string>()
  for (const part of stdout.split(/^@@ /m).slice(1)) {
    const end = part.indexOf('\n')
    texts.set(part.slice(0, end), part.slice(end + 1))
  }
  return texts
}

async function compareCase(folder: string, name: string, texts: ReadonlyMap<string, string>) {
  const failures: { name: string; expected: string; actual: string }[] = []
  let passed = 0
  // What a tool said when it refused its payload is all that stands under the heading.
  const refusal = texts.has(`${name} failed`) ? (texts.get(`${name} started`) ?? '') : undefined
  if (refusal !== undefined) return { passed, failures: [{ name: `${name}: refused`, expected: '', actual: refusal }] }
  for (const [file, canonical] of Object.entries(CANONICAL)) {
    const expected = await readFile(path.join(folder, 'ipvs', file), 'utf8')
    const actual = canonical(texts.get(`${name} ${file}`) ?? '')
    if (actual === expected) passed += 1
    else failures.push({ name: `${name}, ${file}: the kernel holds something else`, expected, actual })
  }
  return { passed, failures }
}
