// A recorded state of kube-proxy is loaded among strangers' rules, and cleaned up: only the strangers remain.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BASE_CHAIN_JUMPS } from '../../src/iptables/static.ts'
import { FAMILIES, type Family } from '../../src/model/address.ts'
import { planCleanUp } from '../../src/sync/clean-up.ts'
import { GOLDEN_ROOT, listCases } from '../support/golden-case.ts'
import { missingInNamespace, type Namespace, openNamespace } from '../support/namespace.ts'

const VARIANTS = ['nft', 'legacy'] as const
type Variant = (typeof VARIANTS)[number]

/** Beside rules of their own, strangers have what looks like ours and is not. */
const FOREIGN: Readonly<Record<string, readonly string[]>> = {
  mangle: [
    ':KUBE-IPTABLES-HINT - [0:0]',
    ':KUBE-KUBELET-CANARY - [0:0]',
    '-A PREROUTING -p tcp -j MARK --set-xmark 0x1/0x1',
  ],
  nat: [
    ':CALI-POSTROUTING - [0:0]',
    ':KUBE-KUBELET-CANARY - [0:0]',
    '-A POSTROUTING -m comment --comment "kubernetes is not mine" -j CALI-POSTROUTING',
    '-A CALI-POSTROUTING -p udp -j RETURN',
  ],
  filter: [
    ':KUBE-KUBELET-CANARY - [0:0]',
    ':MINE - [0:0]',
    '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "kubernetes service portals" -j ACCEPT',
    '-A FORWARD -j MINE',
    '-A MINE -m conntrack --ctstate NEW -j RETURN',
  ],
}

describe.for(VARIANTS)('iptables-%s', (variant) => {
  const missing = missingInNamespace(`iptables-${variant}-save -t nat; ip6tables-${variant}-save -t nat; nfacct list`)
  let kernel: Namespace
  beforeAll(async () => {
    kernel = await openNamespace()
  })
  afterAll(() => kernel.hands.close())

  test.skipIf(missing !== undefined).for(FAMILIES)(
    'loses all of kube-proxy and nothing of others: %s',
    async (family) => {
      await kernel.hands.ensureCounters(['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts'])
      await restore(variant, family, '', foreignPayload())
      const foreign = await save(variant, family)
      for (const { name, recorded } of richestStates(family)) {
        await restore(variant, family, '', recorded)
        const before = await save(variant, family)
        expect(before).not.toEqual(foreign)
        await cleanUp(variant, family, before.text)
        expect({ name, rules: (await save(variant, family)).rules }).toEqual({
          name,
          rules: withFirewall(foreign.rules, before.rules),
        })
        expect(planCleanUp((await save(variant, family)).text, family)).toEqual([])
        await restore(variant, family, '', flushOf(before.rules, foreign.rules))
      }
    },
  )

  test.skipIf(missing !== undefined)('loses every jump that kube-proxy makes', async () => {
    const chains = BASE_CHAIN_JUMPS.map(({ table, rule }) => [table, jumpOf(rule)] as const)
    const commands = chains.map(([table, chain]) => `iptables-${variant} -t ${table} -N ${chain} 2>/dev/null || true`)
    await kernel.sh(commands.join('\n'))
    await kernel.sh(KUBE_PROXY_JUMPS.map((args) => `iptables-${variant} -w 5 -I ${args}`).join('\n'))
    await cleanUp(variant, 'ipv4', (await save(variant, 'ipv4')).text)
    const left = (await save(variant, 'ipv4')).rules.filter((line) => /-j KUBE-/.test(line))
    expect(left).toEqual(['filter -A INPUT -j KUBE-FIREWALL', 'filter -A OUTPUT -j KUBE-FIREWALL'])
  })

  test.skipIf(missing !== undefined)(
    'keeps a rule of others that jumps to a chain of ours, and the chain empty',
    async () => {
      await kernel.sh(`iptables-${variant} -t nat -N KUBE-SERVICES; iptables-${variant} -t nat -A KUBE-SERVICES -j ACCEPT
      iptables-${variant} -t nat -A OUTPUT -d 10.0.0.0/8 -j KUBE-SERVICES`)
      await cleanUp(variant, 'ipv4', (await save(variant, 'ipv4')).text)
      const { rules } = await save(variant, 'ipv4')
      expect(rules).toContain('nat -A OUTPUT -d 10.0.0.0/8 -j KUBE-SERVICES')
      expect(rules.filter((line) => line.includes('-A KUBE-SERVICES'))).toEqual([])
    },
  )

  async function restore(kind: Variant, family: Family, flags: string, payload: string): Promise<void> {
    await kernel.sh(`${tool(family)}-${kind}-restore -w 5 --noflush ${flags}`, payload)
  }

  async function cleanUp(kind: Variant, family: Family, text: string): Promise<void> {
    for (const { table, payload } of planCleanUp(text, family)) {
      await restore(kind, family, `-T ${table} --counters`, payload)
    }
  }

  /** `table line`, chains and rules, without counters and comments. */
  async function save(
    kind: Variant,
    family: Family,
  ): Promise<{ readonly text: string; readonly rules: readonly string[] }> {
    const { stdout } = await kernel.sh(`${tool(family)}-${kind}-save`)
    let table = ''
    const rules = stdout.split('\n').flatMap((line) => {
      if (line.startsWith('*')) table = line.slice(1)
      if (line.startsWith(':')) return [`${table} ${line.replace(/ \[.*/, '')}`]
      return line.startsWith('-A') ? [`${table} ${line}`] : []
    })
    return { text: stdout, rules: rules.toSorted() }
  }
})

/** Spec of kube-proxy's `iptables -I`, after the flag. */
const KUBE_PROXY_JUMPS: readonly string[] = [
  'INPUT -t filter -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES',
  'FORWARD -t filter -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES',
  'INPUT -t filter -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
  'FORWARD -t filter -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  'OUTPUT -t filter -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  'FORWARD -t filter -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
  'INPUT -t filter -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
  'OUTPUT -t filter -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
  'FORWARD -t filter -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
  'OUTPUT -t nat -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  'PREROUTING -t nat -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  'POSTROUTING -t nat -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
  'INPUT -t filter -j KUBE-FIREWALL',
  'OUTPUT -t filter -j KUBE-FIREWALL',
  // Versions before 1.33 wrote the comment first.
  'OUTPUT -t filter -m comment --comment "kubernetes service portals" -m conntrack --ctstate NEW -j KUBE-SERVICES',
]

function foreignPayload(): string {
  return Object.entries(FOREIGN)
    .map(([table, lines]) => [`*${table}`, ...lines, 'COMMIT', ''].join('\n'))
    .join('')
}

/** The recorded states with most rules. */
function richestStates(family: Family): readonly { readonly name: string; readonly recorded: string }[] {
  const states = listCases()
    .filter((name) => name.startsWith('recorded/'))
    .map((name) => ({
      name,
      recorded: readFileSync(path.join(GOLDEN_ROOT, name, 'iptables', saveFile(family)), 'utf8'),
    }))
  const richest = states.toSorted((a, b) => b.recorded.length - a.recorded.length).slice(0, 4)
  expect(richest.map(({ recorded }) => recorded.includes('KUBE-SEP-'))).toEqual([true, true, true, true])
  return richest
}

/** KUBE-FIREWALL, its rule and its jumps stay. */
function withFirewall(foreign: readonly string[], before: readonly string[]): readonly string[] {
  const firewall = before.filter((line) => /KUBE-FIREWALL\b/.test(line))
  return [...new Set([...foreign, ...firewall])].toSorted()
}

/** Removes what clean-up rightly leaves, so that the next state can be loaded. */
function flushOf(before: readonly string[], foreign: readonly string[]): string {
  const jumps = before.filter((line) => line.endsWith('-j KUBE-FIREWALL') && !foreign.includes(line))
  const deletions = jumps.map((line) => line.replace('filter -A', '-D'))
  return ['*filter', ':KUBE-FIREWALL - [0:0]', ...deletions, '-X KUBE-FIREWALL', 'COMMIT', ''].join('\n')
}

function jumpOf(rule: (typeof BASE_CHAIN_JUMPS)[number]['rule']): string {
  return rule.target?.kind === 'jump' ? rule.target.chain : ''
}

function tool(family: Family): string {
  return family === 'ipv4' ? 'iptables' : 'ip6tables'
}

function saveFile(family: Family): string {
  return family === 'ipv4' ? 'iptables-save' : 'ip6tables-save'
}
