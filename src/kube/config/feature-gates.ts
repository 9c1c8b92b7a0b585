// The feature gates of kube-proxy 1.36 that bear on what a node's rules are. Its other gates have no effect here.

interface FeatureGate {
  readonly default: boolean
  /** A locked gate keeps its default: setting it to anything else is an error. */
  readonly locked: boolean
}

export const FEATURE_GATES: ReadonlyMap<string, FeatureGate> = new Map([
  ['AllowServiceExternalIPs', { default: true, locked: false }],
  ['MultiCIDRServiceAllocator', { default: true, locked: true }],
  ['PreferSameTrafficDistribution', { default: true, locked: true }],
])

type GateSettings = Readonly<Record<string, boolean>>

/** Names of locked gates that the configuration tries to change. */
export function findChangedLockedGates(given: GateSettings): readonly string[] {
  return Object.keys(given).filter((name) => {
    const gate = FEATURE_GATES.get(name)
    return gate?.locked === true && gate.default !== given[name]
  })
}

/** Names of gates that are unknown here: they only deserve a warning. */
export function findUnknownGates(given: GateSettings): readonly string[] {
  return Object.keys(given).filter((name) => !FEATURE_GATES.has(name))
}
