// The shape of `-o json` as docs/rule-model.md tells it, written down a second time: nothing here comes from the code.
import * as v from 'valibot'

const not = v.optional(v.literal(true))
const cidr = v.pipe(v.string(), v.regex(/^[0-9a-f:.]+\/\d{1,3}$/))
const negatable = <Value extends v.GenericSchema>(value: Value) => v.strictObject({ value, not })
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535))
const ports = negatable(v.strictObject({ from: port, to: port }))
const word = v.pipe(v.string(), v.regex(/^\S+$/))
const bits = v.strictObject({ value: v.pipe(v.number(), v.integer()), mask: v.pipe(v.number(), v.integer()) })
const words = v.array(v.string())

export const match = v.variant('kind', [
  v.strictObject({ kind: v.literal('comment'), text: v.string() }),
  v.strictObject({
    kind: v.literal('ports'),
    protocol: v.picklist(['tcp', 'udp', 'sctp']),
    source: v.optional(ports),
    destination: v.optional(ports),
  }),
  v.strictObject({
    kind: v.literal('addrtype'),
    source: v.optional(negatable(word)),
    destination: v.optional(negatable(word)),
  }),
  v.strictObject({ kind: v.literal('conntrack'), states: negatable(v.array(word)) }),
  v.strictObject({ kind: v.literal('mark'), mark: negatable(bits) }),
  v.strictObject({ kind: v.literal('statistic'), threshold: v.pipe(v.number(), v.integer(), v.maxValue(2 ** 31)) }),
  v.strictObject({
    kind: v.literal('recent'),
    name: word,
    action: v.variant('kind', [
      v.strictObject({ kind: v.literal('set') }),
      v.strictObject({ kind: v.literal('check'), seconds: v.pipe(v.number(), v.integer()), reap: v.boolean() }),
    ]),
  }),
  v.strictObject({ kind: v.literal('nfacct'), name: word }),
  v.strictObject({ kind: v.literal('set'), set: negatable(v.strictObject({ name: word, directions: word })) }),
  v.strictObject({ kind: v.literal('ipvs'), protocol: v.pipe(v.number(), v.integer()), address: v.string(), port }),
  v.strictObject({ kind: v.literal('physdev'), isIn: v.boolean() }),
  v.strictObject({ kind: v.literal('unknown'), words }),
])

export const target = v.variant('kind', [
  v.strictObject({ kind: v.picklist(['jump', 'goto']), chain: word }),
  v.strictObject({ kind: v.picklist(['accept', 'drop', 'return']) }),
  v.strictObject({ kind: v.literal('reject'), with: word }),
  v.strictObject({ kind: v.literal('dnat'), to: v.pipe(v.string(), v.regex(/^([0-9.]+|\[[0-9a-f:]+\]):\d+$/)) }),
  v.strictObject({ kind: v.literal('masquerade'), randomFully: v.boolean() }),
  v.strictObject({ kind: v.literal('mark'), xmark: bits }),
  v.strictObject({ kind: v.literal('unknown'), words }),
])

const rule = v.strictObject({
  text: v.pipe(v.string(), v.regex(/^[^\n]+$/)),
  source: v.optional(negatable(cidr)),
  destination: v.optional(negatable(cidr)),
  inInterface: v.optional(negatable(word)),
  outInterface: v.optional(negatable(word)),
  protocol: v.optional(negatable(word)),
  matches: v.array(match),
  target: v.optional(target),
})

const ip = v.pipe(v.string(), v.regex(/^[0-9a-f:.]+$/))
const realServer = v.strictObject({ address: ip, port, weight: v.pipe(v.number(), v.integer()) })
const virtualServer = v.strictObject({
  text: v.pipe(v.string(), v.regex(/^(-t|-u|--sctp-service) \S+ -s [a-z]+( -p \d+)?( -b [a-z,-]+)?$/)),
  owner: v.pipe(v.string(), v.regex(/^\S+\/\S+ (tcp|udp|sctp)$/)),
  protocol: v.picklist(['tcp', 'udp', 'sctp']),
  address: ip,
  port,
  scheduler: word,
  schedulerFlags: v.array(word),
  persistenceSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  realServers: v.array(realServer),
})
const set = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^KUBE-\S+$/)),
  type: v.picklist(['hash:ip', 'hash:ip,port', 'hash:ip,port,ip', 'hash:ip,port,net', 'bitmap:port']),
  family: v.optional(v.picklist(['ipv4', 'ipv6'])),
  maxelem: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  entries: v.array(word),
})

const chain = v.strictObject({ name: word, policy: v.optional(v.picklist(['ACCEPT', 'DROP'])), rules: v.array(rule) })

export const nodeRules = v.strictObject({
  apiVersion: v.literal('sluice/v1'),
  kind: v.literal('NodeRules'),
  node: word,
  mode: v.literal('iptables'),
  families: v.pipe(
    v.array(
      v.strictObject({
        family: v.picklist(['ipv4', 'ipv6']),
        nfacct: v.array(word),
        tables: v.array(v.strictObject({ name: v.picklist(['filter', 'mangle', 'nat']), chains: v.array(chain) })),
      }),
    ),
    v.minLength(1),
  ),
})

export const ipvsNodeRules = v.strictObject({
  ...nodeRules.entries,
  mode: v.literal('ipvs'),
  families: v.pipe(
    v.array(
      v.strictObject({
        ...nodeRules.entries.families.pipe[0].item.entries,
        virtualServers: v.array(virtualServer),
        sets: v.array(set),
        addresses: v.array(cidr),
      }),
    ),
    v.minLength(1),
  ),
})

export const nodeRulesList = v.strictObject({
  apiVersion: v.literal('sluice/v1'),
  kind: v.literal('NodeRulesList'),
  items: v.array(nodeRules),
})

export type NodeRules = v.InferOutput<typeof nodeRules>
