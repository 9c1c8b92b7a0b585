// --live: the rules of this machine's kernel, read with the tools that show them. Nothing is written.
import { CommandError, type CommandResult, runCommand } from '../host/exec.ts'
import { startHands } from '../host/hands-client.ts'
import { FAMILIES, type Family, type Ip } from '../model/address.ts'
import { IPVS_DEVICE } from '../model/host.ts'
import { chooseVariant, type IptablesVariant, toolsOf } from '../sync/variant.ts'
import { Failure } from './failure.ts'
import { parseParts, type ReadDump } from './rule-source-dump.ts'
import type { DumpPart } from './rule-source-split.ts'
import type { Terminal } from './terminal.ts'

const TIMEOUT_MS = 60_000
/** Of the tables in use, so that asking does not load more of the kernel. */
const HINT = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY|SERVICES) /m

/** @throws Failure without the rights or the tools. */
export async function readLiveRules(family: Family | undefined, terminal: Terminal): Promise<ReadDump> {
  const families = family === undefined ? FAMILIES : [family]
  terminal.progress('reading the rules of this machine')
  const texts = await readRules(families)
  const sets = await readOptional(['ipset', 'save'])
  const ipvs = await readOptional(['ipvsadm', '-Sn'])
  const parts: DumpPart[] = texts.map(({ family: of, text, tool }) => ({
    kind: 'rules',
    family: of,
    text,
    source: tool,
    line: 1,
  }))
  if (sets !== undefined) parts.push({ kind: 'sets', text: sets, source: 'ipset save', line: 1 })
  if (ipvs !== undefined) parts.push({ kind: 'ipvs', text: ipvs, source: 'ipvsadm -Sn', line: 1 })
  const addresses = await readDeviceAddresses()
  return { ...parseParts(parts, 'live'), ...(addresses && { addresses }) }
}

/** Of kube-ipvs0; empty without the device, undefined where netlink does not tell. */
async function readDeviceAddresses(): Promise<ReadonlySet<Ip> | undefined> {
  const hands = await startHands()
  try {
    return new Set((await hands.listDeviceAddresses(IPVS_DEVICE)) ?? [])
  } catch {
    return undefined
  } finally {
    await hands.close()
  }
}

interface SavedText {
  readonly family: Family
  readonly tool: string
  readonly text: string
}

/** Where the rules of both variants act on packets, the one that chooseVariant would write to is shown. */
async function readRules(families: readonly Family[]): Promise<readonly SavedText[]> {
  const nft = await readVariant('nft', families)
  if (nft.installed && HINT.test(nft.saved)) return nft.texts
  const legacy = await readVariant('legacy', families)
  const chosen = chooseVariant(nft, legacy)
  if (chosen !== undefined) return chosen.variant === 'nft' ? nft.texts : legacy.texts
  return Promise.all(
    families.map(async (family) => {
      const tool = family === 'ipv4' ? 'iptables-save' : 'ip6tables-save'
      return { family, tool, text: (await ask([tool])).stdout }
    }),
  )
}

interface ReadVariant {
  readonly installed: boolean
  readonly saved: string
  readonly texts: readonly SavedText[]
}

async function readVariant(variant: IptablesVariant, families: readonly Family[]): Promise<ReadVariant> {
  try {
    const texts = await Promise.all(
      families.map(async (family) => {
        const tool = toolsOf(variant, family).save
        return { family, tool, text: (await ask([tool])).stdout }
      }),
    )
    return { installed: true, saved: texts.map(({ text }) => text).join(''), texts }
  } catch (error) {
    if (error instanceof CommandError && error.failure.kind === 'missing')
      return { installed: false, saved: '', texts: [] }
    throw error
  }
}

async function ask(argv: readonly [string, ...string[]]): Promise<CommandResult> {
  try {
    return await runCommand(argv, { timeoutMs: TIMEOUT_MS })
  } catch (error) {
    if (!(error instanceof CommandError) || error.failure.kind === 'missing') throw error
    if (/permission denied|not permitted|must be root/i.test(error.stderr)) {
      throw new Failure(
        `--live: ${argv[0]} may not read the kernel's rules: run sluice as root, or save them as root and give --dump FILE`,
      )
    }
    throw new Failure(`--live: ${error.message}`)
  }
}

/** Undefined where the tool is missing or does not answer: most nodes have no virtual servers. */
async function readOptional(argv: readonly [string, ...string[]]): Promise<string | undefined> {
  try {
    return (await runCommand(argv, { timeoutMs: TIMEOUT_MS })).stdout
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}
