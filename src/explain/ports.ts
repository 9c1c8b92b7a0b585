// Checks of ports: does what a Service sends to exist in the Pods, and are its three kinds of port taken for each other.
import type { Finding } from './finding.ts'
import type { ContainerPort, PodObject } from './pod-object.ts'
import type { WrittenPort } from './service-object.ts'
import { type Check, onService, portTitle, type Subject } from './subject.ts'
import { count, join } from './words.ts'

const HIGHEST_PORT = 65_535
/** The default of the API server's --service-node-port-range. */
const NODE_PORT_RANGE = { first: 30_000, last: 32_767 }

/** A port that no Pod of the Service has by that name gets no endpoint. */
export const namedTargetMissing: Check = (subject) =>
  forEachPort(subject, (port, index, pods) => {
    const target = port.targetPort
    if (typeof target !== 'string') return []
    const without = pods.filter(
      (pod) => !containerPorts(pod).some(({ name, protocol }) => name === target && protocol === port.protocol),
    )
    const [pod] = without
    if (pod === undefined) return []
    const other = containerPorts(pod).find(({ name }) => name === target)
    const names = [
      ...new Set(without.flatMap((each) => containerPorts(each).flatMap(({ name }) => (name === '' ? [] : [name])))),
    ]
    const has =
      other !== undefined
        ? `${pod.name} has ${target} as ${other.protocol.toUpperCase()}, and the Service asks for ${port.protocol.toUpperCase()}`
        : names.length > 0
          ? `its ports are named ${join(names)}`
          : 'its ports have no names'
    const all = without.length === pods.length
    const means = all
      ? `No Pod of the Service has a port named ${target} for ${portTitle(port)}, so that port has no endpoints; ${has}.`
      : `${count(without.length, 'Pod')} of ${pods.length} have no port named ${target} and get no traffic of ${portTitle(port)}: ${join(without.map(({ name }) => name))}.`
    const advice = 'Use a name that the containers declare with this protocol, or the number.'
    return [onService(subject, 'target-port-missing', all ? 'error' : 'warning', targetField(index), means, advice)]
  })

/**
 * Declaring a port is not needed for it to work, so this can only be a warning:
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#ports
 */
export const numberedTargetUndeclared: Check = (subject) =>
  forEachPort(subject, (port, index, pods) => {
    const target = port.targetPort
    if (typeof target !== 'number') return []
    const declared = pods.flatMap(containerPorts)
    const found = declared.filter((each) => each.port === target)
    if (declared.length === 0 || found.some(({ protocol }) => protocol === port.protocol)) return []
    const [first] = found
    const field = targetField(index)
    if (first !== undefined) {
      const means = `The containers declare ${target} as ${first.protocol.toUpperCase()}, and ${portTitle(port)} sends ${port.protocol.toUpperCase()} there.`
      return [
        onService(
          subject,
          'target-port-protocol',
          'warning',
          field,
          means,
          `Set spec.ports[${index}].protocol to ${first.protocol.toUpperCase()} if that is meant.`,
        ),
      ]
    }
    const listens = join([...new Set(declared.map((each) => `${each.port}/${each.protocol}`))])
    const mixed = mixUp(subject, port, target, declared)
    const means = `${portTitle(port)} sends to port ${target}, which no container declares (they declare ${listens})${mixed?.means ?? ''}.`
    const advice =
      mixed?.advice ?? 'Set targetPort to the port that the program listens on; if it does listen there, declare it.'
    return [onService(subject, mixed?.check ?? 'target-port-undeclared', 'warning', field, means, advice)]
  })

interface MixUp {
  readonly check: string
  readonly means: string
  readonly advice: string
}

/** Which of the other numbers was most likely meant. */
function mixUp(
  { written }: Subject,
  port: WrittenPort,
  target: number,
  declared: readonly ContainerPort[],
): MixUp | undefined {
  if (port.port !== target && declared.some((each) => each.port === port.port && each.protocol === port.protocol)) {
    const means = `; they do declare ${port.port}, so port and targetPort look exchanged`
    return {
      check: 'port-and-target-exchanged',
      means,
      advice: `Set targetPort to ${port.port}, and port to what clients connect to.`,
    }
  }
  if (written.ports.some(({ nodePort }) => nodePort === target) || isNodePort(target)) {
    const means = '; the number looks like that of a node port'
    return {
      check: 'target-is-node-port',
      means,
      advice: 'nodePort is what clients outside connect to; targetPort is where the program listens.',
    }
  }
  const numbers = [...new Set(declared.map((each) => each.port))]
  if (target === port.port && numbers.length === 1) {
    const means = '; targetPort is the same as port unless it is set'
    return {
      check: 'target-port-defaulted',
      means,
      advice: `Set targetPort to ${numbers.join()}.`,
    }
  }
  return undefined
}

/** Two Pods may mean different numbers by one name, which is right, and surprises. */
export const namedTargetDiffers: Check = (subject) =>
  forEachPort(subject, (port, index, pods) => {
    if (typeof port.targetPort !== 'string') return []
    const numbers = new Set(
      pods.flatMap(
        (pod) =>
          containerPorts(pod).find(({ name, protocol }) => name === port.targetPort && protocol === port.protocol)
            ?.port ?? [],
      ),
    )
    if (numbers.size < 2) return []
    const means = `The name ${port.targetPort} stands for different ports of different Pods: ${join([...numbers].map(String))}.`
    return [onService(subject, 'target-port-differs', 'notice', targetField(index), means)]
  })

export const nodePortOutOfRange: Check = (subject) =>
  subject.written.ports.flatMap((port, index): readonly Finding[] => {
    const { nodePort } = port
    if (nodePort === undefined || nodePort > HIGHEST_PORT || isNodePort(nodePort)) return []
    const means = `Node port ${nodePort} is outside ${NODE_PORT_RANGE.first}-${NODE_PORT_RANGE.last}: it works, and takes that port from programs on every node.`
    return [onService(subject, 'node-port-out-of-range', 'notice', `spec.ports[${index}].nodePort`, means)]
  })

/** A node port of a Service whose type has none still works, and surprises. */
export const leftoverNodePort: Check = (subject) => {
  const { type, ports } = subject.written
  if (type !== 'ClusterIP' || subject.service === undefined) return []
  return ports.flatMap(({ nodePort }, index) => {
    if (nodePort === undefined) return []
    const means = `The type is ClusterIP, and node port ${nodePort} is served all the same.`
    return [
      onService(
        subject,
        'leftover-node-port',
        'notice',
        `spec.ports[${index}].nodePort`,
        means,
        'Remove it if nobody outside should come in.',
      ),
    ]
  })
}

function targetField(index: number): string {
  return `spec.ports[${index}].targetPort`
}

function isNodePort(port: number): boolean {
  return port >= NODE_PORT_RANGE.first && port <= NODE_PORT_RANGE.last
}

function containerPorts(pod: PodObject): readonly ContainerPort[] {
  return pod.containers.flatMap(({ ports }) => ports)
}

/** Only where Pods are known that could serve. */
function forEachPort(
  subject: Subject,
  check: (port: WrittenPort, index: number, pods: readonly PodObject[]) => readonly Finding[],
): readonly Finding[] {
  const { pods = [], written } = subject
  const living = pods.filter(({ phase }) => phase !== 'Succeeded' && phase !== 'Failed')
  if (living.length === 0 || written.type === 'ExternalName') return []
  return written.ports.flatMap((port, index) => check(port, index, living))
}
