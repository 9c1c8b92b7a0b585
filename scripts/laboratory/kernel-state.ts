// Whether the kernel holds what the objects ask for, found without what the running agent believes.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import {
  assembleSnapshot,
  canonicalise,
  compile,
  decodeProxyConfig,
  describeNode,
  type Host,
  type Ip,
  link,
  parseSave,
  printRule,
} from '../../src/index.ts'
import { type IptablesVariant, toolsOf } from '../../src/sync/variant.ts'

const CONFIG = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.128.0.0/9\n'
const ADDRESSES = ['127.0.0.1', '::1', '192.168.1.1'].map((ip) => ip as Ip)
/** Names of chains that differ; more would help nobody. */
const NAMED = 5

/** One line for each chain of IPv4 that is not as it should be, up to a few. `objects` as the API has them. */
export function compareKernel(objects: readonly object[], variant: IptablesVariant): readonly string[] {
  const { stdout } = spawnSync(toolsOf(variant, 'ipv4').save, { encoding: 'utf8', maxBuffer: 1e9 })
  const present = chainsOf(parseSave(stdout, 'ipv4').ruleset)
  const wanted = chainsOf(link(compileFor(objects, stdout)))
  const names = [...new Set([...present.keys(), ...wanted.keys()])]
  const different = names.filter((name) => present.get(name) !== wanted.get(name))
  const shown = different
    .slice(0, NAMED)
    .map((name) => `${name}: ${firstDifference(present.get(name), wanted.get(name))}`)
  return different.length > NAMED ? [...shown, `and ${different.length - NAMED} more chains`] : shown
}

function firstDifference(present: string | undefined, wanted: string | undefined): string {
  if (present === undefined) return 'is missing'
  if (wanted === undefined) return 'should not be there'
  const has = present.split('\n')
  const needs = wanted.split('\n')
  const extra = has.find((rule) => !needs.includes(rule))
  const missing = needs.find((rule) => !has.includes(rule))
  return `missing: ${missing ?? 'none'}; extra: ${extra ?? 'none'}`
}

/** What an agent on this machine would compile; `saved`: the rules it made, which tell what the kernel can do. */
export function compileFor(objects: readonly object[], saved: string): ReturnType<typeof compile> {
  const { snapshot } = assembleSnapshot(
    objects.map((value, index) => ({ value: value as Record<string, unknown>, at: { source: `object ${index}` } })),
  )
  const { config } = decodeProxyConfig(CONFIG, 'soak')
  if (config === undefined) throw new Error('the configuration is invalid')
  const features = {
    // Not every kernel has the counters; whether rules name them is not what is compared here.
    nfacct: saved.includes('--nfacct-name'),
    randomFully: saved.includes('--random-fully'),
    tcpBeLiberal: readFileSync('/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal', 'utf8').trim() !== '0',
  }
  const host: Host = { addresses: ADDRESSES, features }
  return compile(snapshot, config, describeNode('node1', undefined, config, host).facts, 'ipv4')
}

/** By table and chain the rules as one text, in canonical order: in shared chains those of Services may come in any. */
function chainsOf(ruleset: ReturnType<typeof link>): ReadonlyMap<string, string> {
  const chains = new Map<string, string>()
  for (const [table, all] of canonicalise(ruleset).tables) {
    for (const [name, { rules }] of all) {
      if (!name.startsWith('KUBE-') || name === 'KUBE-FIREWALL') continue
      const texts = rules.map((rule) => printRule(rule, ruleset.family))
      chains.set(`${table} ${name}`, texts.join('\n'))
    }
  }
  return chains
}
